"""Folders that a command is told of."""

from pathlib import Path

import typer

from data.extracts import cannot_be_named


def nameable(folder: Path) -> Path:
    """Refuses, as wrong usage, a folder whose files could not be read for its name."""
    if cannot_be_named(folder.absolute()):
        raise typer.BadParameter(
            f"{folder}: has a backslash and one of [ * ? in its path, which cannot be read together"
        )
    return folder
