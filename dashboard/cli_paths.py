"""Folders that a command is told of."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from dashboard.cli_progress import PlainLines, say_aside
from data import places
from data.extracts import cannot_be_named
from data.marts import BuildUnderWay


def nameable(folder: Path) -> Path:
    """Refuses, as wrong usage, a folder whose files could not be read for its name."""
    if cannot_be_named(folder.absolute()):
        raise typer.BadParameter(
            f"{folder}: has a backslash and one of [ * ? in its path, which cannot be read together"
        )
    return folder


def _up_to_date(named: Path) -> Path:
    """The folder of marts to be read; of an object store the mirror, brought up to date before."""
    marts = places.marts_at(str(named))
    # Whoever builds or fetches there now leaves what was in use before.
    with suppress(BuildUnderWay):
        marts.pull(PlainLines(say_aside))
    return nameable(marts.folder)


HELP = "Folder in which snapshots are published, or s3://bucket/prefix of an object store."
Marts = Annotated[Path, typer.Option(callback=_up_to_date, help=HELP)]
# Of commands that change what is published there: they ask `places.marts_at` for it.
MartsToChange = Annotated[Path, typer.Option(callback=nameable, help=HELP)]
