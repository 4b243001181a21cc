"""Answers of earlier turns, and where the passes of a run end."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from app.theatre import theatre
from sdlm_core import Trace
from tests.app.synthetic import HOSTILE, make_trace
from tests.browser.conftest import patient

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Visitor

MARKDOWN = """# Title

Some **bold** and *slanted* text with `code`.

- one
- two
  - nested

```python
def f(x):
    return x < 1
```

| a | b |
|---|---|
| 1 | 2 |

> said

[a page](https://example.org/x) [a trap](javascript:window.hacked=1) [another](data:text/html,x) ![a picture](https://example.org/x.png)

1. first
2. second
"""
RENDER = """async ([main, text]) => {
  const { markdown } = await import(new URL(main.replace("main.js", "markdown.js"), document.baseURI));
  const node = markdown(text);
  const box = document.createElement("div");
  box.appendChild(node);
  document.querySelector("#stage .conversation").appendChild(box);
  const all = [...node.querySelectorAll("*")];
  return {
    tags: [...new Set(all.map((n) => n.localName))], text: node.textContent,
    attributes: [...new Set(all.flatMap((n) => n.getAttributeNames()))].sort(),
    links: [...node.querySelectorAll("a[href]")].map((n) => n.getAttribute("href")),
    code: node.querySelector("pre code") && node.querySelector("pre code").textContent,
    items: node.querySelectorAll("li").length, cells: node.querySelectorAll("td").length,
  };
}"""
TAGS = {"p", "h3", "h4", "h5", "h6", "code", "em", "strong", "s", "a", "blockquote", "br", "hr", "ul", "ol", "li"}
TAGS |= {"table", "tr", "td", "span", "pre"}


def render(visitor: Visitor, text: str) -> Any:
    return visitor.page.evaluate(RENDER, [f"{theatre.folder()}/main.js", text])


def test_markdown_becomes_elements(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    made = render(visitor, MARKDOWN)
    assert {"h3", "strong", "em", "code", "pre", "ul", "ol", "li", "table", "blockquote", "a"} <= set(made["tags"])
    assert made["code"].strip() == "def f(x):\n    return x < 1"
    assert (made["items"], made["cells"]) == (5, 4)
    assert made["links"] == ["https://example.org/x"]
    assert "a trap" in made["text"]
    assert "a picture" in made["text"]
    assert [url for url in visitor.requests if "example.org" in url] == []


def test_hostile_text_stays_text(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    wraps = ("{}", "# {}", "- {}", "`{}`", "```{}\n{}\n```", "[{}]({})", "![{}]({})", "| {} |\n|---|\n| {} |", "> {}")
    for piece, wrap in itertools.product(HOSTILE, wraps):
        made = render(visitor, wrap.format(piece, piece))
        assert set(made["tags"]) <= TAGS
        assert set(made["attributes"]) <= {"class", "dir", "href", "title", "target", "rel", "start", "tabindex"}
        assert all(link.startswith(("http://", "https://")) for link in made["links"])
        assert "\u202e" not in made["text"]
    deep = render(visitor, "> " * 5000)
    assert len(deep["tags"]) <= 2
    for text in ("- > " * 2000, "*" * 20000, "[" * 20000, "- " * 3000, "`" * 9999, "|" * 9999, "\n" * 9999, "<" * 9999):
        render(visitor, text)
    assert visitor.page.evaluate("window.hacked") is None


def test_earlier_answers_are_markdown_and_the_newest_is_tokens(visitor: Visitor, address: str) -> None:
    visitor.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visitor.open(address)
    visitor.ask("hostile <b>one</b>")
    first = visitor.stage("s.state.turns[1].content")
    assert visitor.page.locator("#stage .answer .span").count() > 0
    assert visitor.page.locator("#stage .markdown").count() == 0
    visitor.page.click("#stage .turn.assistant button:has-text('Markdown')")  # the newest, on request
    assert visitor.page.locator("#stage .answer").is_hidden()
    assert "<script>window.hacked = 1</script>" in visitor.text("#stage .markdown")
    visitor.act("seek", cursor=1)
    kept = visitor.stage("s.state.record.passes[0].accepted")
    assert len(visitor.text("#stage .markdown")) < len(first)
    assert kept
    visitor.page.click("#stage .turn.assistant button:has-text('Markdown')")
    assert visitor.page.locator("#stage .answer").is_visible()
    visitor.ask("Two", tokens=16)
    earlier, newest = (visitor.page.locator("#stage .turn.assistant").nth(i) for i in range(2))
    assert earlier.locator(".markdown").is_visible()
    assert earlier.locator("script, img, svg, iframe").count() == 0
    assert newest.locator(".answer .span").count() > 0
    earlier.locator("button:has-text('Markdown')").click()
    assert earlier.locator(".words").is_visible()
    assert earlier.locator(".markdown").is_hidden()
    read = "navigator.clipboard.readText()"
    for turn, content in ((earlier, first), (newest, visitor.stage("s.state.turns[3].content"))):
        turn.locator("button:has-text('Copy')").click()
        begins = content[:30]  # a clipboard may end at a character that cannot be seen
        patient(visitor, lambda begins=begins: visitor.page.evaluate(read).startswith(begins))
    assert visitor.page.evaluate("window.hacked") is None


def shares(trace: Trace, passes: int) -> list[float]:
    """How often each place's guess was kept, slowly."""
    made = trace.passes[:passes]
    width = max(len(p.candidates) for p in made)
    return [sum(p.accepted > i for p in made) / sum(len(p.candidates) > i for p in made) for i in range(width)]


def heights(visitor: Visitor, part: str) -> list[float]:
    visitor.settle()
    size = "n.style.height" if part == "i" else "n.style.bottom"
    shown = f"document.querySelectorAll('.ends-bars span:not([hidden]) {part}:not([hidden])')"
    return [float(x.rstrip("%")) / 100 for x in visitor.page.evaluate(f"[...{shown}].map((n) => {size})")]


def test_bars_show_how_often_each_place_was_kept(visitor: Visitor, tmp_path: Path) -> None:
    trace = make_trace()
    visitor.replay(trace, tmp_path)
    for cursor in (len(trace.passes), 3, 1):
        visitor.act("seek", cursor=cursor)
        visitor.until(f"s.state.cursor === {cursor}")
        expected = shares(trace, cursor)
        assert all(abs(a - b) < 1e-3 for a, b in zip(heights(visitor, "i"), expected, strict=True))
    assert heights(visitor, "b") == []  # there is no conversation
    label = visitor.page.locator(".ends-bars").get_attribute("aria-label")
    assert "Guess 1: kept in 100 % of this run's passes" in label


def test_lines_show_the_whole_conversation(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    traces = []
    for prompt in ("One", "Two"):
        visitor.ask(prompt, tokens=24)
        traces.append(Trace.from_dict(visitor.stage("s.state.record.toJSON()")))
    passes = [p for t in traces for p in t.passes]
    expected = [sum(p.accepted > i for p in passes) / len(passes) for i in range(8)]
    assert all(abs(a - b) < 1e-3 for a, b in zip(heights(visitor, "b"), expected, strict=True))
    visitor.page.click("#stage button:has-text('Clear')")
    assert visitor.page.locator("#stage .ends").is_hidden()


def test_the_sparkline_has_a_bar_a_pass(visitor: Visitor, tmp_path: Path) -> None:
    trace = make_trace()
    visitor.replay(trace, tmp_path)
    visitor.settle()
    ink = """(() => {
      const canvas = document.querySelector(".spark"), { width, height } = canvas;
      const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
      const inked = (x, y) => data[4 * (y * width + x) + 3] > 0;
      const column = (x) => Array.from({ length: height }, (_, y) => inked(x, y)).filter(Boolean).length / height;
      return s.state.record.passes.map((_, i) => {
        const inset = 8 * width / canvas.clientWidth, slot = (width - 2 * inset) / s.state.record.passes.length;
        return column(Math.floor(inset + (i + 0.4) * slot));
      });
    })()"""
    most = max(p.accepted for p in trace.passes)
    for drawn, p in zip(visitor.stage(ink), trace.passes, strict=True):
        assert abs(drawn - p.accepted / most) < 0.1
