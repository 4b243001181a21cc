"""Pictures of the page's main states: python -m tools.screenshots

Starts the app, drives it in a headless Chromium and writes assets/screenshots. Needs playwright and a Chromium, as the
tests do.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tools.page import PROMPT, ROOT, StagePage, browser_options, running_app

FOLDER = ROOT / "assets" / "screenshots"
DESKTOP, TABLET, PHONE = (1440, 900), (1024, 768), (390, 844)


class Camera(StagePage):
    """A browser page of one size and theme, and the pictures taken of it."""

    def __init__(self, browser: Any, address: str, folder: Path, size: tuple[int, int], dark: bool = False) -> None:
        super().__init__(browser, address, size, dark)
        self.folder = folder

    def ask(self, threshold: float, algorithm: str = "prob_conf") -> None:
        """Send the prompt and wait for the answer."""
        self.write(PROMPT, threshold, 64, algorithm)
        self.send()

    def race(self) -> None:
        """Run the race tab's three runs and their replay."""
        self.page.click("button[role=tab]:has-text('Race')")
        self.page.fill("#race textarea", PROMPT)
        self.page.evaluate("document.querySelector('#race .sdlm').parentNode.race.compose.length.set(48)")
        self.page.click("#race .go")
        self.page.wait_for_selector("#race .timeline button:not([disabled])", timeout=300_000)

    def lab(self) -> None:
        """Open the trade-off lab and wait until its plots are drawn."""
        self.page.click("button[role=tab]:has-text('Trade-off lab')")
        self.page.wait_for_selector("#lab-plot .js-plotly-plot .scatterlayer", timeout=60_000)
        self.page.wait_for_timeout(1500)  # plots drawn while the tab was hidden take its width

    def take(self, name: str, whole: bool = False) -> None:
        """Write one picture."""
        self.page.mouse.move(2, 2)
        self.page.wait_for_timeout(350)
        path = self.folder / f"{name}.png"
        self.page.screenshot(path=path, full_page=whole)
        print(f"{path}  {path.stat().st_size // 1024} KB")


def take_all(address: str, folder: Path, threshold: float) -> None:
    """All pictures, one browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**browser_options())
        first = Camera(browser, address, folder, DESKTOP)
        first.take("first-paint")
        first.ask(threshold)
        first.seek(0.6)
        first.take("watch")
        first.page.locator("#stage .row.current .chip:visible").last.click()
        first.take("card")
        first.page.keyboard.press("Escape")
        first.seek(1)
        first.judge(max(0.0, threshold - 0.3))
        first.take("what-if")
        first.judge(threshold)
        first.toggle_big()
        first.seek(0.6)
        first.page.evaluate("window.scrollTo(0, 0)")
        first.take("big")
        first.toggle_big()
        first.clear()
        first.ask(threshold, "self_speculative")
        first.take("self-speculative")
        first.race()
        first.take("race", whole=True)
        first.lab()
        first.take("lab", whole=True)
        first.page.close()

        dark = Camera(browser, address, folder, DESKTOP, dark=True)
        dark.ask(threshold)
        dark.seek(0.6)
        dark.take("watch-dark")
        dark.race()
        dark.take("race-dark", whole=True)
        dark.lab()
        dark.take("lab-dark", whole=True)
        dark.page.close()

        for name, size in (("tablet", TABLET), ("phone", PHONE)):
            for theme in ("", "-dark"):
                small = Camera(browser, address, folder, size, dark=bool(theme))
                small.ask(threshold)
                small.seek(0.6)
                small.page.evaluate("window.scrollTo(0, 0)")
                small.take(f"watch-{name}{theme}")
                if name == "phone":
                    small.page.evaluate("document.querySelector('#stage .right').scrollIntoView()")
                    small.take(f"stage-{name}{theme}")
                if not theme:
                    small.race()
                    small.take(f"race-{name}", whole=True)
                    small.lab()
                    small.take(f"lab-{name}", whole=True)
                small.page.close()
        browser.close()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(prog="python -m tools.screenshots", description=__doc__)
    parser.add_argument("--model", default="builtin", help="model to show (default: %(default)s)")
    parser.add_argument("--threshold", type=float, default=0.9, help="τ of the pictures (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (default: %(default)s)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with running_app(arguments.model) as address:
        take_all(address, arguments.folder, arguments.threshold)


if __name__ == "__main__":
    main()
