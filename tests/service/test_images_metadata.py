"""Nothing but an image is promoted: exiftool reads every image of the corpus that passes, and finds structure only."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests import images
from tests.corpus import images_moving, images_odd, images_ordinary
from worker.sandbox import ImageLimits, Sandbox

CASES = (*images_ordinary.CASES, *images_moving.CASES, *images_odd.CASES)
LIMITS = ImageLimits(max_pixels=100_000_000, max_frames=1000)
_ABOUT_THE_FILE = {"SourceFile", "ExifTool", "System", "Composite"}  # or made up from the rest
STRUCTURE = {
    "File": "BitsPerSample ColorComponents EncodingProcess ExifByteOrder FileType FileTypeExtension ImageHeight "
    "ImageWidth MIMEType YCbCrSubSampling",
    "GIF": "AnimationIterations BackgroundColor BitsPerPixel ColorResolutionDepth Duration FrameCount GIFVersion "
    "HasColorMap ImageHeight ImageWidth TransparentColor",
    "PNG": "AnimationFrames AnimationPlays BitDepth ColorType Compression Filter ImageHeight ImageWidth Interlace "
    "Palette Transparency",
    "RIFF": "AlphaCompression AlphaFiltering AlphaPreprocessing AnimationLoopCount BackgroundColor Duration "
    "HorizontalScale ImageHeight ImageWidth VP8Version VerticalScale WebP_Flags",
    "IFD": "BitsPerSample Compression ExtraSamples ImageHeight ImageWidth Orientation PhotometricInterpretation "
    "PlanarConfiguration Predictor ResolutionUnit RowsPerStrip SampleFormat SamplesPerPixel StripByteCounts "
    "StripOffsets XResolution YResolution",  # all but a few are required by TIFF 6.0, the resolution too
    "Meta": "PrimaryItemReference",
    "QuickTime": "AV1ConfigurationVersion AuxiliaryImageType ChromaFormat ChromaSamplePosition ColorPrimaries "
    "ColorProfiles CompatibleBrands HandlerType HighBitDepth ImagePixelDepth ImageSpatialExtent InitialDelaySamples "
    "MajorBrand MatrixCoefficients MediaData MediaDataOffset MediaDataSize MinorVersion SeqLevelIdx0 SeqProfile "
    "SeqTier0 TransferCharacteristics TwelveBit VideoFullRangeFlag "
    # and the head of the film in an animated AVIF
    "CreateDate CurrentTime Duration MatrixStructure ModifyDate MovieHeaderVersion NextTrackID PosterTime "
    "PreferredRate PreferredVolume PreviewDuration PreviewTime SelectionDuration SelectionTime TimeScale",
    "Track": "ChunkOffset GraphicsMode HandlerType ImageHeight ImageWidth MatrixStructure MediaCreateDate "
    "MediaDuration MediaHeaderVersion MediaLanguageCode MediaModifyDate MediaTimeScale OpColor OtherFormat "
    "SampleSizes SampleToChunk SyncSampleTable TimeToSampleTable TrackCreateDate TrackDuration TrackHeaderVersion "
    "TrackID TrackLayer TrackModifyDate TrackVolume Unknown_auxi Unknown_auxl Unknown_av1C Unknown_ccst Unknown_colr "
    "Unknown_edts",
}


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, str]:
    """What becomes of each case: its file, and which case it was."""
    folder = tmp_path_factory.mktemp("promoted")
    sandbox = Sandbox(memory=4 << 30, seconds=60, output=512 << 20)
    made = {}
    for number, case in enumerate(CASES):
        original = case.make()
        outcome, data = images.remade(sandbox, original, images.sniff(sandbox, original), LIMITS)
        path = folder / f"{number}.{outcome.type.removeprefix('image/')}"
        path.write_bytes(data)
        made[path] = str(case)
    sandbox.close()
    return made


def test_exiftool_finds_structure_only(promoted: dict[Path, str]) -> None:
    command = ["exiftool", "-json", "-G1", "-a", "-u", "-ee", *map(str, promoted)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert len(answer) == len(CASES)
    for tags in answer:
        case = promoted[Path(tags["SourceFile"])]
        assert "ExifTool:Warning" not in tags, case
        dates = {tags[name] for name in tags if name.startswith(("QuickTime:", "Track")) and name.endswith("Date")}
        assert dates <= {"0000:00:00 00:00:00"}, case  # a field that an animated AVIF must have
        assert not [name for name in tags if not _is_structure(name)], case


def test_exiftool_would_find_more(tmp_path: Path) -> None:
    """The originals are full of it, so that the test above can fail."""
    path = tmp_path / "original.jpg"
    path.write_bytes(images.encode(images.photo(), "JPEG", exif=images.exif(), xmp=images.XMP, comment=images.MARKER))
    answer = subprocess.run(["exiftool", "-json", "-G1", str(path)], check=True, capture_output=True).stdout
    found = [name for name in json.loads(answer)[0] if not _is_structure(name)]
    assert {"IFD0:ImageDescription", "File:Comment"} <= set(found)


def test_no_planted_byte_is_left(promoted: dict[Path, str]) -> None:
    for path, case in promoted.items():
        data = path.read_bytes()
        for planted in (images.MARKER, b"Exif\0", b"acsp", b"http://ns.adobe.com", b"x:xmpmeta"):
            assert planted not in data, case


def _is_structure(name: str) -> bool:
    group, _, tag = name.partition(":")
    group = re.sub(r"^(IFD|Track)\d+$", r"\1", group)
    return group in _ABOUT_THE_FILE or tag in STRUCTURE.get(group, "").split()
