"""axe-core on every tab, light and dark; what a screen reader is told of a pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.browser.conftest import Visitor

COLOURS = ["color-contrast", "link-in-text-block"]


def serious(page: Any, theme: str = "light", context: str = "body") -> list[Any]:
    """What axe-core finds wrong, and our own texts whose contrast it cannot work out.

    Only the rules about colours are asked in the dark: to the others both themes are one page.
    """
    from axe_playwright_python.sync_playwright import Axe

    options: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}  # no style sheet is from elsewhere
    if theme == "dark":
        options["runOnly"] = COLOURS
    found = Axe().run(page, context=context, options=options).response
    wrong = [v for v in found["violations"] if v["impact"] in ("serious", "critical")]
    unknown = [v for v in found["incomplete"] if v["id"] == "color-contrast"]
    return [(v["id"], n["html"][:160], n["any"][:1]) for v in wrong for n in v["nodes"]] + [
        (v["id"], n["html"][:160], n["any"][:1]) for v in unknown for n in v["nodes"] if "sdlm" in str(n["target"])
    ]


def show_lab(page: Any) -> None:
    page.wait_for_selector("#lab-plot .js-plotly-plot .scatterlayer")


def show_lesson(page: Any) -> None:
    """All steps, answered."""
    page.wait_for_selector("#learn .picture .scene")
    page.evaluate("document.querySelector('#learn .sdlm').parentNode.lesson.sections.forEach((s) => s.build())")
    for i in range(9):
        page.check(f"#learn .step >> nth={i} >> input[type=radio] >> nth=0")
    page.click("#learn button[title^='Notes']")


def show_race(page: Any) -> None:
    """A race that was run."""
    page.fill("#race textarea", "Why is the sky blue?")
    page.evaluate("document.querySelector('#race .sdlm').parentNode.race.compose.length.set(16)")
    page.click("#race .go")
    page.wait_for_selector("#race .timeline button:not([disabled])")


OPENED = {"Race": show_race, "Learn": show_lesson, "Trade-off lab": show_lab}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_tab(visitor: Visitor, address: str, theme: str) -> None:
    page = visitor.open(f"{address}?__theme={theme}").page
    visitor.ask("Why is the sky blue?", tau=0.9, tokens=24)
    wrong: dict[str, Any] = {"done": serious(page, theme)}
    page.click("#stage button:has-text('Settings')")
    page.click("#stage .prompt-tokens summary")
    page.wait_for_selector("#stage .tokens .special")
    visitor.act("judge", tau=0.4)
    visitor.act("pin", pass_=1, i=1)
    visitor.act("filters", filters={"temperature": 1.2, "top_p": 0.8, "top_k": 3})
    visitor.settle()
    wrong["Watch"] = serious(page, theme)
    for tab, show in OPENED.items():
        page.click(f"button[role=tab]:has-text('{tab}')")
        show(page)
        visitor.settle()
        wrong[tab] = serious(page, theme)
    assert {tab: found for tab, found in wrong.items() if found} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_about_forks_and_refusals(visitor: Visitor, address: str, theme: str) -> None:
    page = visitor.open(f"{address}?__theme={theme}").page
    visitor.ask("Why is the sky blue?", tokens=24, algorithm="self_speculative")
    visitor.act("pin", pass_=2, i=0)
    page.locator("#stage .card .alternatives li[data-id] button").nth(1).click()
    visitor.until("s.state.forks.length === 2 && s.state.status === 'done'")
    visitor.settle()
    wrong = {"forks": serious(page, theme)}
    visitor.act("status", status="failed", detail={"message": "The model could not be loaded."})
    visitor.settle()
    wrong["failed"] = serious(page, theme)
    assert {state: found for state, found in wrong.items() if found} == {}


ROWS = """() => [...document.querySelectorAll("#stage .row:not([hidden])")].map((row) => ({
  said: row.getAttribute("aria-label"),
  chips: [...row.querySelectorAll(".chip:not([hidden])")].map((c) => ({
    classes: [...c.classList], mark: c.querySelector(".mark").textContent, said: c.getAttribute("aria-label"),
    limit: c.querySelector(".limit").textContent,
  })),
}))"""
# What a chip shows by its colours, edges, lines and marks, and how a screen reader is told of it.
SHOWN = {
    "forced": "kept as the first guess, though not above τ",
    "less": "kept in the run",
    "more": "discarded in the run",
    "wrong": "the answer has another token here",
    "mismatch": "not as drafted",
}


def compare_rows(visitor: Visitor) -> set[str]:
    """Each row's and chip's text against its looks; returns which looks there were."""
    visitor.settle()
    met: set[str] = set()
    rows = visitor.page.evaluate(ROWS)
    assert rows
    for row in rows:
        chips, said = row["chips"], row["said"]
        kept = [chip for chip in chips if "kept" in chip["classes"]]
        assert f": {len(kept)} of {len(chips)} guess" in said
        assert ("None discarded." in said) == (len(kept) == len(chips))
        at = 0
        for chip in chips:  # each confidence, in order
            at = said.index(" " + chip["mark"].split()[-1], at) + 1
        for look, words in SHOWN.items():
            shown = [chip for chip in chips if look in chip["classes"]]
            assert said.count(words) == len(shown), (look, said)
            assert all(words in chip["said"] for chip in shown)
            met |= {look} if shown else set()
        assert said.count("not above τ") == len([chip for chip in chips if chip["limit"]])
        assert said.count(", as drafted") == len([chip for chip in chips if chip["mark"].startswith("✓")])
    return met


def test_a_row_says_what_its_colours_say(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    met = compare_rows(visitor)
    for tau in (0.0, 0.2, 0.5, 0.9, 1.0):
        visitor.act("judge", tau=tau)
        met |= compare_rows(visitor)
    visitor.ask("Why is the sky blue?", tokens=32, algorithm="self_speculative")
    assert visitor.stage("s.state.record.passes.some((p) => p.draft.length)")
    met |= compare_rows(visitor)
    assert met == set(SHOWN)
