"""Small, valid, ordinary documents."""

from __future__ import annotations

import io
import zipfile

_PDF_OBJECTS = (
    b"<< /Type /Catalog /Pages 2 0 R >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
    b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
)
_PDF_PAGE = b"BT /F1 24 Tf 72 760 Td (Forty days on the island.) Tj ET"

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_DOCX_PART = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_DOCX = {
    "[Content_Types].xml": f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{_DOCX_TYPE}"/></Types>',
    "_rels/.rels": f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
    f'<Relationship Id="rId1" Type="{_DOCX_PART}" Target="word/document.xml"/></Relationships>',
    "word/document.xml": f'{_XML}<w:document xmlns:w="{_WORD}"><w:body><w:p><w:r>'
    "<w:t>Dear Sir, the cargo has been found clean.</w:t></w:r></w:p></w:body></w:document>",
}


def pdf() -> bytes:
    """A page of PDF 1.4."""
    page = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(_PDF_PAGE), _PDF_PAGE)
    file = io.BytesIO()
    file.write(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, body in enumerate((*_PDF_OBJECTS, page), start=1):
        places.append(file.tell())
        file.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = file.tell()
    file.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1))
    file.writelines(b"%010d 00000 n \n" % place for place in places)
    file.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, table))
    return file.getvalue()


def spreadsheet() -> bytes:
    """A table as comma-separated values."""
    rows = [("ship", "port", "days"), ("Fortuna", "Ragusa", "40"), ("Speranza", "Alexandria", "40")]
    return "".join(",".join(row) + "\r\n" for row in rows).encode()


def word_document() -> bytes:
    """A letter in Office Open XML."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        for name, text in _DOCX.items():
            package.writestr(name, text)
    return file.getvalue()
