"""Finds an installed Chromium or Chrome; none is ever fetched."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def installed() -> str | None:
    """The path in the environment's CHROMIUM, else of the first found by name; None where there is none."""
    named = os.environ.get("CHROMIUM")
    if named is not None:
        # Named and not there, or empty: no picture, rather than another browser than the one asked for.
        return named if Path(named).is_file() else None
    return next(filter(None, map(shutil.which, NAMES)), None)
