"""The bundled sample files of `make run`: one for each thing that can happen to an upload.

Made at run time, so that the repository contains nothing that trips a scanner.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ops.samples.documents import pdf, spreadsheet, word_document
from ops.samples.photo import photo
from ops.samples.unwelcome import executable, malware, truncated_photo

# In the order in which their outcomes read best.
SAMPLES: dict[str, Callable[[], bytes]] = {
    "photo-with-gps.jpg": photo,  # clean, without its position
    "report.pdf": pdf,  # clean
    "table.csv": spreadsheet,  # clean
    "letter.docx": word_document,  # clean
    "eicar.txt": malware,  # infected
    "holiday.jpg": executable,  # rejected: a program by another name
    "cut-off.jpg": truncated_photo,  # rejected: not a whole image
}


def write_samples(folder: Path) -> Path:
    """Write every sample into the folder, which is made if needed. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in SAMPLES.items():
        (folder / name).write_bytes(make())
    return folder
