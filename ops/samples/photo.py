"""A photograph as a telephone would take it: with a camera's name, a thumb's width of noise, and where it was taken."""

from __future__ import annotations

import io

from PIL import ExifTags, Image, ImageChops

_SIZE = (1024, 768)  # pixels
_QUALITY = 80
_NOISE = 24  # standard deviation of a channel, which compresses to about 100 kB
_CAMERA = "Lazaretto Sample Camera"
# The Lazzaretto Nuovo in the lagoon of Venice, in degrees, minutes and seconds.
_LATITUDE, _LONGITUDE = (45.0, 27.0, 43.0), (12.0, 23.0, 30.0)


def photo() -> bytes:
    """A JPEG of about 100 kB with EXIF, the position included."""
    file = io.BytesIO()
    _picture().save(file, "JPEG", quality=_QUALITY, exif=_exif())
    return file.getvalue()


def _picture() -> Image.Image:
    """Sky over water, roughly."""
    shade = Image.linear_gradient("L").resize(_SIZE)
    glow = Image.radial_gradient("L").resize(_SIZE)
    scene = Image.merge("RGB", (glow, shade, ImageChops.invert(glow)))
    noise = Image.effect_noise(_SIZE, _NOISE).convert("RGB")
    return Image.blend(scene, noise, 0.25)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = _CAMERA
    exif[ExifTags.Base.Orientation] = 1
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLatitude: _LATITUDE,
            ExifTags.GPS.GPSLongitudeRef: "E",
            ExifTags.GPS.GPSLongitude: _LONGITUDE,
        }
    )
    return exif
