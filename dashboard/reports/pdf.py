"""A report as PDF, set by typst with the fonts that it brings; it asks for no package."""

import json
import shutil
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory

import typst

from dashboard.reports.model import Document, Part

# In millimetres: the width of a picture, and the height that it may take of a page beside its heading and sentences.
WIDEST, HIGHEST = 180, 100
TEMPLATE = Path(__file__).with_name("templates") / "report.typ"


def render(document: Document) -> bytes:
    with TemporaryDirectory(prefix="pco-pdf-") as folder:
        root = Path(folder)
        # Told apart by their content's place only, so that two runs give the same bytes.
        parts = [_part(part, place, root) for place, part in enumerate(document.parts)]
        stamp = document.stamp.replace(tzinfo=UTC)
        told = {
            "title": document.title,
            "author": document.author,
            "facts": [*document.facts, ("Made", document.made)],
            "line": document.line(),
            "notes": document.notes,
            "parts": parts,
            "stamp": [stamp.year, stamp.month, stamp.day, stamp.hour, stamp.minute, stamp.second],
        }
        (root / "report.json").write_text(json.dumps(told), encoding="utf-8")
        shutil.copyfile(TEMPLATE, root / "report.typ")
        return typst.compile(
            root / "report.typ",
            root=root,
            ignore_system_fonts=True,
            timestamp=int(stamp.timestamp()),
            # Packages would be fetched: there is no folder of any, and the template names none.
            package_path=root / "none",
            package_cache_path=root / "none",
        )


def _part(part: Part, place: int, root: Path) -> dict:
    pictures = []
    for picture in part.pictures:
        name = f"{place}-{picture.name}.png"
        (root / name).write_bytes(picture.png)
        pictures.append({"file": name, "caption": picture.caption, "alt": picture.alt, "width": _width(picture.png)})
    grids = [
        {"caption": grid.caption, "heads": grid.heads, "numeric": grid.numeric, "rows": grid.rows, "notes": grid.notes}
        for grid in part.grids
    ]
    return {"title": part.title, "sentences": part.sentences, "pictures": pictures, "grids": grids}


def _width(png: bytes) -> float:
    """In millimetres; its size in pixels stands in the head of a PNG."""
    across, high = (int.from_bytes(png[place : place + 4], "big") for place in (16, 20))
    return min(WIDEST, HIGHEST * across / high)
