"""Makes sure that the browser tests have a Chromium, and says which one, or how it was had.

Looks for one in CHROMIUM, on the PATH and among Playwright's own; else lets Playwright fetch its own; else, as root
on Debian, installs the system's package.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dashboard.chromium import installed


def chromium() -> str | None:
    """The path of an installed Chromium or Chrome."""
    return installed() or playwrights_own()


def playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).is_file() else None


def install() -> None:
    print("No Chromium found: asking Playwright for its own", flush=True)
    if subprocess.run([sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"]).returncode == 0:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit("No Chromium could be had. Install one (Debian: apt-get install chromium) or name it in CHROMIUM.")
    print("Playwright has none to give: installing the system's package chromium", flush=True)
    subprocess.run(["apt-get", "update", "--quiet"], check=True)
    subprocess.run(["apt-get", "install", "--yes", "--quiet", "chromium"], check=True)


if __name__ == "__main__":
    if chromium() is None:
        install()
    print(f"Browser tests use {chromium()}")
