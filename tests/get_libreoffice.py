"""Makes sure that the tests of the workbook have a LibreOffice to recalculate it, and says which, or how it was had.

Looks for one in SOFFICE and on the PATH; else, as root on Debian, installs the system's package `libreoffice-calc`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("soffice", "libreoffice", "localc")


def soffice() -> str | None:
    """The path of an installed LibreOffice; None when there is none."""
    named = os.environ.get("SOFFICE")
    if named and Path(named).is_file():
        return named
    return next(filter(None, map(shutil.which, NAMES)), None)


def install() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit("No LibreOffice found. Install it (Debian: apt-get install libreoffice-calc) or name it in SOFFICE.")
    print("No LibreOffice found: installing the system's package libreoffice-calc", flush=True)
    subprocess.run(["apt-get", "update", "--quiet"], check=True)
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "libreoffice-calc"]
    subprocess.run(command, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})


if __name__ == "__main__":
    if soffice() is None:
        install()
    print(f"Tests of the workbook use {soffice()}")
