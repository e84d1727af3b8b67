"""Folders that a command is told of."""

from pathlib import Path
from typing import Annotated

import typer

from dashboard.cli_progress import PlainLines, say_aside
from data import places
from data.extracts import cannot_be_named
from data.marts import BuildUnderWay, in_use
from data.mirror import Published


def nameable(folder: Path) -> Path:
    """Refuses, as wrong usage, a folder whose files could not be read for its name."""
    if cannot_be_named(folder.absolute()):
        raise typer.BadParameter(
            f"{folder}: has a backslash and one of [ * ? in its path, which cannot be read together"
        )
    return folder


def published(named: Path) -> Published:
    """Marts to be changed, brought up to date."""
    marts = places.marts_at(str(named))
    nameable(marts.folder)
    marts.pull(PlainLines(say_aside))
    return marts


def readable(named: Path) -> Published:
    """Marts to be read, brought up to date unless someone is at that already."""
    try:
        return published(named)
    except BuildUnderWay:
        marts = places.marts_at(str(named))
        if in_use(marts.folder) is None:
            raise
        return marts


def _up_to_date(named: Path) -> Path:
    return readable(named).folder


HELP = "Folder in which snapshots are published, or s3://bucket/prefix of an object store."
Marts = Annotated[Path, typer.Option(callback=_up_to_date, help=HELP)]
# Of commands that change what is published there: they ask `published` for it.
MartsToChange = Annotated[Path, typer.Option(callback=nameable, help=HELP)]
