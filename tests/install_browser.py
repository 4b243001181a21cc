"""Make sure that there is a Chromium for the browser tests: the system's, Playwright's own, or a fresh one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tools.page import BROWSERS


def find() -> str | None:
    """The path of a Chromium on this machine, or None."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def install() -> None:
    """Debian's package where we may install it, Playwright's download elsewhere."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
        update = subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
        if (
            update.returncode == 0
            and subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, **quiet).returncode == 0
        ):
            return
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


if __name__ == "__main__":
    if find() is None:
        print("Installing Chromium for the browser tests …", flush=True)
        install()
    if find() is None:
        sys.exit(
            "No Chromium was found and none could be installed. Install one (chromium or google-chrome) and try again."
        )
