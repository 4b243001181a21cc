"""What a τ buys and costs, in a sentence with the measured numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def what_tau_does(sweep: dict[str, Any], task: str, rule: str, block_size: int, tau: float) -> str:
    """Markdown for one setting of a sweep: the nearest measured τ, its speed, its price and how sure that is."""
    cells = [c for c in sweep["cells"] if (c["set"], c["algorithm"], c["block_size"]) == (task, rule, block_size)]
    if not cells:
        return f"This setting of {code(sweep['model'])} has not been measured."
    cell = min(cells, key=lambda c: abs(c["threshold"] - tau))
    near = cell["threshold"]
    start = f"**τ {tau:g}**" + ("" if abs(near - tau) < 1e-9 else f" (nearest measured: {near:g})")
    x = cell["tokens_per_pass"]
    bought = f"buys {code(sweep['model'])} **{x[0]:.2f} tokens per pass**{_range(x, 2)} instead of 1"
    where = f"measured on {cell['n']} {_noun(task)}, D {block_size}"
    clock = [
        _by_the_clock(row)
        for row in sweep.get("wall_clock", [])
        if (row["set"], row["algorithm"], row["block_size"], row["threshold"]) == (task, rule, block_size, near)
    ]
    return " ".join([f"{start} {bought}, {where}.", _price(cell), *clock])


def another_model(measured: str, loaded: str | None) -> str:
    """A paragraph for a page that runs another model than the one that was measured; "" while that is not known."""
    if loaded in (None, measured):
        return ""
    return (
        f"\n\nThis page runs another model, {code(loaded)}, and the curves of {code(measured)} are not its own. "
        "Sweep a prompt below to see what it does."
    )


def with_first(names: Sequence[str | None]) -> str:
    """A sentence for a page with a menu of models, which sweeps do not follow; "" where there is one model."""
    return f" All use {code(names[0])}, whichever model is chosen in the other tabs." if len(names) > 1 else ""


def code(name: Any) -> str:
    """A model's name in Markdown, as code: nothing in it acts."""
    return f"`{str(name).replace('`', ' ')}`"


def _by_the_clock(row: dict[str, Any]) -> str:
    """The speed of the few prompts that were timed, with the tokens per pass of the same prompts."""
    median, low, high, n = row["speedup"]
    return (
        f"By the clock it is **{median:.2f} ×** as fast as autoregressive decoding (quartiles {low:.2f} to "
        f"{high:.2f}), timed on {n} of these prompts, at {row['tokens_per_pass'][0]:.2f} tokens per pass."
    )


def _price(cell: dict[str, Any]) -> str:
    if cell["threshold"] == 1:
        right = f": {100 * cell['accuracy'][0]:.0f} % right" if cell["accuracy"] else ""
        return f"It costs no quality: the answers at other τ are compared with these{right}."
    kept = f"its answers agree with those of τ 1 to {100 * cell['agreement'][0]:.0f} %"
    if not cell["accuracy"]:
        return f"The price: {kept}."
    change = cell["accuracy_change"]
    right = f"{100 * cell['accuracy'][0]:.0f} % right{_range([100 * v for v in cell['accuracy'][:3]], 0)}"
    if not change:
        return f"The price: {right}; {kept}."
    points = 100 * change[0]
    size = f"{abs(points):.1f} points {'below' if points < 0 else 'above'} τ 1"
    if abs(points) < 0.05:
        size = "the same as at τ 1"
    doubt = ", a difference that may be chance" if change[1] is not None and change[1] <= 0 <= change[2] else ""
    return f"The price: **{right}**, {size}{doubt}; {kept}."


def _range(estimate: list[Any], digits: int) -> str:
    if estimate[1] is None:
        return ""
    return f" ({estimate[1]:.{digits}f} to {estimate[2]:.{digits}f})"


def _noun(task: str) -> str:
    return {"problems": "held-out problems", "chat": "open prompts"}.get(task, "prompts")
