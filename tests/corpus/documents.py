"""Documents: ordinary ones, encrypted ones, and those that hide what they are.

Where it matters, what ClamAV 1.4.6 of Debian answers with our configuration stands beside the case, as "clamd: …".
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable

from ops.samples import documents
from tests import images
from tests.corpus import ole_builder, rar_builder
from tests.corpus.archive_makers import seven
from tests.corpus.case import Case
from tests.corpus.document_makers import (
    OPEN_DOCUMENT,
    OPEN_XML,
    attached,
    letter,
    listing,
    locked,
    message,
    open_document,
    package,
    pdf,
    pdfs,
    renamed_encrypt,
    slides,
    template,
    wholly_encrypted,
    workbook,
)
from tests.corpus.zip_builder import ordinary
from worker.scan import ReasonCode, Status

_ENC, _LIM = ReasonCode.ENCRYPTED, ReasonCode.SCAN_LIMITS_EXCEEDED
_NOT, _TWO = ReasonCode.TYPE_NOT_ALLOWED, ReasonCode.TYPE_MISMATCH
_PDF, _WORD, _EXCEL = "application/pdf", "application/msword", "application/vnd.ms-excel"
_POWERPOINT = "application/vnd.ms-powerpoint"
_DOCX, _XLSX = OPEN_XML + "wordprocessingml.document", OPEN_XML + "spreadsheetml.sheet"
_PPTX = OPEN_XML + "presentationml.presentation"
_ODT, _PGP = OPEN_DOCUMENT + "text", "application/pgp-encrypted"
_DOCM = "application/vnd.ms-word.document.macroenabled.12"
_XLSM, _XLSB = (f"application/vnd.ms-excel.sheet.{kind}macroenabled.12" for kind in ("", "binary."))


def _case(name: str, filename: str, media_type: str, make: Callable[[], bytes], *codes: ReasonCode) -> Case:
    status = Status.UNSCANNABLE if codes else Status.CLEAN
    status = Status.REJECTED if {_NOT, _TWO} & set(codes) else status
    return Case("documents", name, filename, make, status, frozenset(codes), type=media_type)


def _picture() -> bytes:
    return images.encode(images.photo(), "JPEG")


_ORDINARY = (
    _case("Word with a picture", "a.docx", _DOCX, letter),
    _case("Word by Word", "a.docx", _DOCX, template),
    _case("Excel", "a.xlsx", _XLSX, workbook),
    _case("PowerPoint", "a.pptx", _PPTX, slides),
    _case("Word by hand", "a.docx", _DOCX, documents.word_document),
    _case(
        "Word with a workbook in it",
        "a.docx",
        _DOCX,
        lambda: package(listing(_DOCX + ".main+xml").encode(), ("word/embeddings/a.xlsx", workbook())),
    ),
    _case("Word, its list in UTF-16", "a.docx", _DOCX, lambda: package(_wide(listing(_DOCX + ".main+xml")))),
    _case("Word of 97", "a.doc", _WORD, ole_builder.word),
    _case("Excel of 97", "a.xls", _EXCEL, ole_builder.excel),
    _case("Excel of 95", "a.xls", _EXCEL, lambda: ole_builder.excel(stream="Book")),
    _case("Excel of 97, read-only recommended", "a.xls", _EXCEL, lambda: ole_builder.excel(protected=True)),
    _case("PowerPoint of 97", "a.ppt", _POWERPOINT, ole_builder.powerpoint),
    _case("OpenDocument text", "a.odt", _ODT, open_document),
    _case("OpenDocument table", "a.ods", OPEN_DOCUMENT + "spreadsheet", lambda: open_document("spreadsheet")),
    _case("OpenDocument slides", "a.odp", OPEN_DOCUMENT + "presentation", lambda: open_document("presentation")),
    _case("PDF by hand", "a.pdf", _PDF, documents.pdf),
    _case("PDF by QPDF", "a.pdf", _PDF, pdf),
    _case("PDF with object streams", "a.pdf", _PDF, lambda: pdf(objects=True)),
    _case("PDF for the web", "a.pdf", _PDF, lambda: pdf(linearize=True)),
    _case("PDF with a zip attached", "a.pdf", _PDF, lambda: pdf(attachment=ordinary(("a.txt", "x")))),
    _case("PDF with a zip attached as it is", "a.pdf", _PDF, lambda: attached(ordinary(("a.txt", "x")))),
    _case("PDF with a document attached as it is", "a.pdf", _PDF, lambda: attached(letter())),
    _case("PDF with a PDF attached as it is", "a.pdf", _PDF, lambda: attached(documents.pdf())),
    _case("PDF behind a mark and an empty line", "a.pdf", _PDF, lambda: b"\xef\xbb\xbf\r\n" + documents.pdf()),
    _case("PDF cut in half", "a.pdf", _PDF, lambda: documents.pdf()[:400]),
    _case("PDF of plain ASCII", "a.pdf", _PDF, lambda: documents.pdf().replace(b"%\xe2\xe3\xcf\xd3\n", b"")),
)


def _wide(text: str) -> bytes:
    return text.replace('version="1.0"', 'version="1.0" encoding="UTF-16"').encode("utf-16")


_ENCRYPTED = (
    _case("Word with a password", "a.docx", _DOCX, lambda: locked(letter), _ENC),  # clamd: OK, as to all of Office
    _case("Excel with a password", "a.xlsx", _XLSX, lambda: locked(workbook), _ENC),
    _case("PowerPoint with a password", "a.pptx", _PPTX, lambda: locked(slides), _ENC),
    _case("Word with a password, nameless", "letter", "application/encrypted", lambda: locked(letter), _ENC),
    _case("Word with a password, as .pdf", "a.pdf", "application/encrypted", lambda: locked(letter), _ENC, _TWO),
    _case("Word of 97 with a password", "a.doc", _WORD, lambda: ole_builder.word(encrypted=True), _ENC),
    _case(
        "Word of 97, obfuscated", "a.doc", _WORD, lambda: ole_builder.word(encrypted=True, drawn_together=True), _ENC
    ),
    _case("Excel of 97 with a password", "a.xls", _EXCEL, lambda: ole_builder.excel(encrypted=True), _ENC),
    _case(
        "Excel of 97, both protections",
        "a.xls",
        _EXCEL,
        lambda: ole_builder.excel(encrypted=True, protected=True),
        _ENC,
    ),
    _case(
        "Excel of 95 with a password", "a.xls", _EXCEL, lambda: ole_builder.excel(encrypted=True, stream="Book"), _ENC
    ),
    _case(
        "PowerPoint of 97 with a password", "a.ppt", _POWERPOINT, lambda: ole_builder.powerpoint(encrypted=True), _ENC
    ),
    _case("OpenDocument with a password", "a.odt", _ODT, lambda: open_document(encrypted=True), _ENC),  # clamd: OK
    _case(
        "OpenDocument with a password, UTF-16",
        "a.odt",
        _ODT,
        lambda: open_document(encrypted=True, encoding="utf-16"),
        _ENC,
    ),
    _case("OpenDocument, wholly encrypted", "a.odt", _ODT, wholly_encrypted, _ENC),
    *(  # clamd: Heuristics.Encrypted.PDF
        _case(f"PDF to open with a password, {each}", "a.pdf", _PDF, make, _ENC)
        for each, make in pdfs(user="secret").items()
    ),
    *(  # anybody opens it; clamd decrypts its compressed streams, and says OK to EICAR in the others
        _case(f"PDF that may not be changed, {each}", "a.pdf", _PDF, make, _ENC) for each, make in pdfs().items()
    ),
    _case("PDF, encrypted, with object streams", "a.pdf", _PDF, lambda: pdf(revision=6, objects=True), _ENC),
    _case("PDF, encrypted, its key in hex", "a.pdf", _PDF, renamed_encrypt, _ENC),
    _case("PGP with a password", "a.gpg", _PGP, lambda: message("--symmetric"), _ENC, _NOT),  # clamd: OK to all of PGP
    _case("PGP with a password, armoured", "a.asc", _PGP, lambda: message("--symmetric", "--armor"), _ENC, _NOT),
    _case("PGP to a key", "a.gpg", _PGP, lambda: message("-e", "-r", "ship@example.org"), _ENC, _NOT),
    _case("PGP to a key, armoured", "a.asc", _PGP, lambda: message("-e", "-a", "-r", "ship@example.org"), _ENC, _NOT),
    _case("zip with PGP", "a.zip", "application/zip", lambda: ordinary(("a.gpg", message("--symmetric"))), _ENC),
    _case("zip with encrypted Word", "a.zip", "application/zip", lambda: ordinary(("a.docx", locked(letter))), _ENC),
    _case(
        "zip with encrypted PDF", "a.zip", "application/zip", lambda: ordinary(("a", pdf(revision=6, user="x"))), _ENC
    ),
    _case("zip with encrypted Excel of 97", "a.zip", "application/zip", lambda: _zipped(encrypted=True), _ENC),
)


def _zipped(*, encrypted: bool) -> bytes:
    return ordinary(("a.xls", ole_builder.excel(encrypted=encrypted)), method=zipfile.ZIP_STORED)


def _macros(
    name: str, filename: str, media_type: str, *types: str, encode: Callable[[str], bytes] = str.encode
) -> Case:
    return _case(name, filename, media_type, lambda: package(encode(listing(*types))), _NOT, _TWO)


_DTD = '<!DOCTYPE x [<!ENTITY m "application/vnd.ms-word.document.macroEnabled.main+xml">]>'
_PROJECT = "application/vnd.ms-office.vbaProject"

_ODD = (
    _macros("Word with macros", "a.docm", _DOCM, "application/vnd.ms-word.document.macroEnabled.main+xml"),
    _macros("Word with macros, as .docx", "a.docx", _DOCM, "application/vnd.ms-word.document.macroEnabled.main+xml"),
    _macros(
        "Word with macros, its list in UTF-16",
        "a.docx",
        _DOCM,
        "application/vnd.ms-word.document.macroEnabled.main+xml",
        encode=_wide,
    ),
    _macros("Word with a project of macros", "a.docx", _DOCM, _DOCX + ".main+xml", _PROJECT),
    _macros(
        "Excel with a sheet of macros", "a.xlsx", _XLSM, _XLSX + ".main+xml", "application/vnd.ms-excel.macrosheet+xml"
    ),
    _macros("Excel, binary", "a.xlsb", _XLSB, "application/vnd.ms-excel.sheet.binary.macroEnabled.main"),
    _case(
        "Word, its list with entities",
        "a.docx",
        "application/zip",
        lambda: package(listing("&m;").replace("<Types", _DTD + "<Types").encode()),
        _TWO,
    ),
    _case("Word, its list no XML", "a.docx", "application/zip", lambda: package(b"\0" * 100), _TWO),
    _case("Word with a RAR in it", "a.docx", _DOCX, lambda: _with("a.bin", rar_builder.rar5()), _LIM),
    _case("Word with an encrypted 7z in it", "a.docx", _DOCX, lambda: _with("a.bin", seven(password="x")), _ENC),
    _case("Word with encrypted Word in it", "a.docx", _DOCX, lambda: _with("a.bin", locked(letter)), _ENC),
    _case("Word cut in half", "a.docx", "application/zip", lambda: letter()[:5000], _LIM, _TWO),
    _case("Word of 97, cut", "a.doc", "application/x-ole-storage", lambda: ole_builder.word()[:2000], _LIM, _NOT, _TWO),
    _case("PDF of a header and nothing", "a.pdf", "text/plain", lambda: b"%PDF-1.7\n", _TWO),
    _case("JAR", "a.zip", "application/java-archive", lambda: ordinary(("META-INF/MANIFEST.MF", "x")), _NOT, _TWO),
    _case("PGP public key", "a.txt", "text/plain", lambda: message("--export", "--armor")),
    _case("PGP signed text", "a.txt", "text/plain", lambda: message("--clearsign")),
)


def _with(name: str, data: bytes) -> bytes:
    return package(listing(_DOCX + ".main+xml").encode(), (f"word/embeddings/{name}", data))


CASES: tuple[Case, ...] = _ORDINARY + _ENCRYPTED + _ODD
