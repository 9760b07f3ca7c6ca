"""Names that lie, or that do harm wherever they are believed, on ordinary content. They are kept as data, and decide
nothing but whether the content is what they say."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ops.samples.documents import pdf
from tests import images
from tests.corpus.case import Case
from worker.scan import ReasonCode, Status

_FAMILY = "names"
_MISMATCH = frozenset({ReasonCode.TYPE_MISMATCH})


def _photo() -> bytes:
    return images.encode(images.photo(48, 32), "JPEG", quality=90)


def _text() -> bytes:
    return b"Forty days on the island.\n"


def _fits(name: str, filename: str, make: Callable[[], bytes] = pdf, type_: str = "application/pdf") -> Case:
    """The name says nothing else than the content, once it is saved somewhere."""
    return Case(_FAMILY, name, filename, make, type=type_)


def _lies(name: str, filename: str, make: Callable[[], bytes] = pdf, declared: str | None = None) -> Case:
    return Case(_FAMILY, name, filename, make, Status.REJECTED, _MISMATCH, declared)


_jpeg = partial(_fits, make=_photo, type_="image/jpeg")
_plain = partial(_fits, make=_text, type_="text/plain")

HARMLESS = (
    _fits("traversal", "../../../../etc/cron.d/report.pdf"),
    _fits("traversal of Windows", "..\\..\\..\\Windows\\System32\\report.pdf"),
    _fits("traversal, encoded", "..%2f..%2f..%2fetc%2freport.pdf"),
    _fits("an absolute path", "/etc/passwd/report.pdf"),
    _fits("a drive's letter", "C:\\Users\\Public\\report.pdf"),
    _fits("a share", "\\\\server\\share\\report.pdf"),
    _fits("NUL in the middle", "re\0port.pdf"),
    _fits("a line break", "report\r\nSet-Cookie: session=stolen\r\n\r\n.pdf"),
    _fits("a header", 'report"; filename="x.exe"; x=".pdf'),
    _fits("a tabulator", "re\tport.pdf"),
    _fits("escape sequences of a terminal", "\x1b]0;owned\x07\x1b[2Jreport.pdf"),
    _fits("the bell", "\a\a\areport.pdf"),
    _fits("half of a surrogate pair", "\ud83d.pdf"),
    _fits("a dash in front", "-rf.pdf"),
    _fits("an option", "--output=/etc/passwd.pdf"),
    _fits("a command", "$(touch /tmp/owned);`id`|sh &.pdf"),
    _fits("SQL", "'; DROP TABLE scans; --.pdf"),
    _fits("a template", "{{7*7}}${7*7}<%= 7*7 %>%s%n{0}.pdf"),
    _fits("HTML", "<img src=x onerror=alert(1)>.pdf"),
    _fits("a wildcard", "*?[a-z]*.pdf"),
    _fits("upper case", "REPORT.PDF"),
    _fits("a blank at the end", "report.pdf "),
    _fits("dots at the end", "report.pdf..."),
    _fits("a blank that does not break, at the end", "report.pdf\u00a0"),
    _fits("a blank without width", "report\u200b.pdf"),
    _fits("a stream of NTFS", "report.pdf::$DATA"),
    _fits("a reserved name of Windows", "CON.pdf"),
    _fits("another one", "aux.c.pdf"),
    _fits("a name of 255 bytes", "x" * 251 + ".pdf"),
    _fits("4096 characters", "x" * 4092 + ".pdf"),
    _fits("5000 characters, which are cut", "x" * 5000 + ".pdf"),
    _fits("100,000 characters, which are cut", "../" * 33_000 + "x.pdf"),
    _fits("a thousand combining marks", "a" + "\u0301" * 1000 + ".pdf"),
    _fits("nothing at all", ""),
    _fits("a dot", "."),
    _fits("two dots", ".."),
    _fits("dots only", "......"),
    _fits("blanks only", "   "),
    _fits("slashes only", "///"),
    _fits("no extension", "README"),
    _fits("a hidden file", ".profile"),
    _fits("a title with a dot", "Dr. Who"),
    _fits("a dot in the folder only", "backup.d/report"),
    _jpeg("emoji", "🏝️🐀☠️.jpg"),
    _jpeg("a family of emoji", "👨‍👩‍👧‍👦.jpeg"),
    _jpeg("Chinese", "检疫所.jpg"),
    _jpeg("Arabic", "المحجر الصحي.jpg"),
    _jpeg("Hebrew with a mark of direction", "\u200f\u05de\u05d7\u05e1\u05df\u200f.jpg"),
    _jpeg("decomposed umlauts", "Quaranta\u0308ne.jpg"),
    _jpeg("two image extensions", "photo.png.jpg"),
    _plain("a log that was rotated by name", "access.2024-01-01.log"),
    _plain("a markdown file", "README.md"),
)

LYING = (
    _lies("a program's extension behind another", "report.pdf.exe"),
    _lies("a program's extension behind blanks", "report.pdf" + " " * 200 + ".exe"),
    _lies("right to left, so that it reads reportexe.pdf", "report\u202efdp.exe"),
    _lies("isolated right to left", "report\u2066\u202efdp\u2069.exe"),
    _lies("a program's extension before a blank", "report.exe "),
    _lies("a program's extension before dots", "report.exe.."),
    _lies("a program's extension before a stream", "report.exe::$DATA"),
    _lies("a program's extension cut by nothing visible", "report.e\u200bxe"),
    _lies("a program's extension before NUL", "report.exe\0"),
    _lies("NUL at the end, which is recorded as part of the extension", "report.pdf\0"),
    _lies("full-width letters", "report.\uff45\uff58\uff45"),
    _lies("Cyrillic letters", "report.\u0440df"),
    _lies("a script", "report.php"),
    _lies("a script by an older name", "report.pHp5"),
    _lies("a configuration of a web server", "report.htaccess"),
    _lies("a page", "report.html"),
    _lies("a shortcut", "report.lnk"),
    _lies("a shortcut to a page", "report.url"),
    _lies("a screen saver", "report.scr"),
    _lies("a document that is a picture", "report.pdf", _photo),
    _lies("a picture that is a document", "photo.jpg"),
    _lies("a picture of another kind", "photo.png", _photo),
    _lies("text as a batch file", "notes.bat", _text),
    _lies("text as a script of PowerShell", "notes.ps1", _text),
    _lies("text as a script of Windows", "notes.vbs", _text),
    _lies("text as JavaScript", "notes.js", _text),
    _lies("text as a registry file", "notes.reg", _text),
    _lies("an extension of a hundred characters", "report." + "pdf" * 10),
    _lies("declared as something else", "report.pdf", pdf, "image/png"),
    _lies("declared as a page", "report.pdf", pdf, "text/html; charset=utf-8"),
)

DECLARED = tuple(
    Case(_FAMILY, f"declared as {what}", "photo.jpg", _photo, declared=declared, type="image/jpeg")
    for what, declared in (
        ("a stream of bytes", "application/octet-stream"),
        ("an old name", "image/pjpeg"),
        ("with parameters", 'image/jpeg; name="x.exe"; charset=utf-8'),
        ("in upper case", "IMAGE/JPEG"),
        ("nothing", ""),
        ("blanks", "  "),
    )
)

CASES = HARMLESS + LYING + DECLARED
