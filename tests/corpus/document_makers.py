"""How documents are made: by the libraries that people use, and by hand what those would not write."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import docx
import msoffcrypto.format.ooxml
import openpyxl
import pikepdf
import pptx

from ops.samples import documents
from tests import images
from tests.corpus.zip_builder import ordinary

OPEN_XML = "application/vnd.openxmlformats-officedocument."
OPEN_DOCUMENT = "application/vnd.oasis.opendocument."
_MANIFEST = (
    '<?xml version="1.0"?><manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
)
_CIPHER = (
    '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml" manifest:size="9">'
    '<manifest:encryption-data manifest:checksum-type="SHA1/1K" manifest:checksum="x"/></manifest:file-entry>'
)


def saved(document: Any) -> bytes:
    """What a library's document writes into a file."""
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def letter() -> bytes:
    """A Word document with a picture."""
    document = docx.Document()
    document.add_heading("Bill of health")
    document.add_paragraph("The crew is well.")
    document.add_picture(io.BytesIO(images.encode(images.photo(), "PNG")))
    return saved(document)


def template() -> bytes:
    """What Word itself wrote, of which libmagic says nothing."""
    return (Path(docx.__file__).parent / "templates" / "default.docx").read_bytes()


def workbook() -> bytes:
    """An Excel workbook."""
    book = openpyxl.Workbook()
    book.active.append(["ship", "days"])
    book.active.append(["Fortuna", 40])
    return saved(book)


def slides() -> bytes:
    """A PowerPoint presentation."""
    presentation = pptx.Presentation()
    presentation.slides.add_slide(presentation.slide_layouts[0]).shapes.title.text = "Quarantine"
    return saved(presentation)


def locked(make: Callable[[], bytes]) -> bytes:
    """An Office Open XML document with a password: ECMA-376 agile encryption."""
    file = io.BytesIO()
    msoffcrypto.format.ooxml.OOXMLFile(io.BytesIO(make())).encrypt("secret", file)
    return file.getvalue()


def open_document(kind: str = "text", *, encrypted: bool = False, encoding: str = "utf-8") -> bytes:
    """As LibreOffice writes it, with or without a password."""
    listed = (_CIPHER if encrypted else "") + "</manifest:manifest>"
    return ordinary(
        ("mimetype", OPEN_DOCUMENT + kind),
        ("content.xml", "<office:document-content/>"),
        ("META-INF/manifest.xml", (_MANIFEST + listed).encode(encoding)),
    )


def wholly_encrypted() -> bytes:
    """As LibreOffice writes it since 24.8: the whole package in one entry."""
    manifest = _MANIFEST + _CIPHER.replace("content.xml", "encrypted-package") + "</manifest:manifest>"
    return ordinary(
        ("mimetype", OPEN_DOCUMENT + "text"), ("encrypted-package", bytes(99)), ("META-INF/manifest.xml", manifest)
    )


def package(listed: bytes, *more: tuple[str, bytes | str]) -> bytes:
    """An Office Open XML package with this list of its parts."""
    return ordinary(("[Content_Types].xml", listed), ("word/document.xml", "<w:document/>"), *more)


def listing(*types: str) -> str:
    """The list of parts of these types."""
    rows = "".join(f'<Override PartName="/x{number}" ContentType="{each}"/>' for number, each in enumerate(types))
    return f'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">{rows}</Types>'


def pdf(
    *,
    revision: Literal[2, 3, 4, 6] | None = None,
    user: str = "",
    attachment: bytes | None = None,
    objects: bool = False,
    **more: Any,
) -> bytes:
    """A page by QPDF. `revision`: of its encryption; `user`: the password to open it; `objects`: in object streams."""
    document = pikepdf.new()
    document.add_blank_page()
    if attachment is not None:
        document.attachments["a.bin"] = pikepdf.AttachedFileSpec(document, attachment, filename="a.bin")
    if revision is not None:
        aes = revision >= 4
        more["encryption"] = pikepdf.Encryption(owner="owner", user=user, R=revision, aes=aes, metadata=aes)
    if objects:
        more["object_stream_mode"] = pikepdf.ObjectStreamMode.generate
    file = io.BytesIO()
    document.save(file, **more)
    return file.getvalue()


def renamed_encrypt() -> bytes:
    """The trailer's key written with an escape: ISO 32000-2, 7.3.5."""
    return pdf(revision=4, user="secret").replace(b"/Encrypt ", b"/Encr#79pt ")


def attached(data: bytes) -> bytes:
    """A PDF with a file attached as it is, not compressed, at its end: as pypdf writes it."""
    stream = b"<< /Type /EmbeddedFile /Length %d >>\nstream\n%s\nendstream" % (len(data), data)
    return documents.pdf().replace(b"xref\n0", b"5 0 obj\n" + stream + b"\nendobj\nxref\n0")


@cache
def message(*arguments: str) -> bytes:
    """What GnuPG makes of a text, in a home of its own with one key that needs no password."""
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as home:

        def gpg(*what: str, text: bytes = b"") -> bytes:
            command = ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--pinentry-mode", "loopback", *what]
            return subprocess.run(command, input=text, capture_output=True, check=True).stdout

        try:
            gpg("--passphrase", "", "--quick-generate-key", "ship@example.org", "ed25519", "sign", "never")
            gpg("--passphrase", "", "--quick-add-key", fingerprint(gpg), "cv25519", "encr", "never")
            options = ("--trust-model", "always", "--passphrase", "secret" if "--symmetric" in arguments else "")
            return gpg(*options, *arguments, text=b"All well on board.\n" * 50)
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], capture_output=True, check=True)


def fingerprint(gpg: Callable[..., bytes]) -> str:
    """Of the only key."""
    lines = gpg("--with-colons", "--list-keys").decode().splitlines()
    return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))


def pdfs(**options: Any) -> dict[str, Callable[[], bytes]]:
    """Encrypted in each way that the standard knows, by its revision."""
    revisions: tuple[Literal[2, 3, 4, 6], ...] = (2, 3, 4, 6)
    return {f"R{each}": partial(pdf, revision=each, **options) for each in revisions}
