"""A sweep as a table for the terminal or a README: Markdown, one row a setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NAMES = {
    "prob_conf": "probability",
    "entropy_conf": "entropy",
    "self_speculative": "self-speculative",
    "autoregressive": "autoregressive",
}


def render(result: dict[str, Any]) -> str:
    """Every setting's speed and quality, each set's columns side by side. A sweep that was stopped early may have no
    answer of some sets yet: they get no columns."""
    decoded = {s["name"]: 0 for s in result["settings"]["sets"]}
    for cell in result["cells"]:
        decoded[cell["set"]] = max(decoded[cell["set"]], cell["n"])
    names = [name for name, n in decoded.items() if n]
    cells, clock = _by_setting(result["cells"]), _by_setting(result.get("wall_clock", []))
    graded = {name for name in names if any(c["accuracy"] for c in result["cells"] if c["set"] == name)}
    head = ["rule", "D", "τ"]
    for name in names:
        head += [f"{name}: tokens/pass", *([f"{name}: accuracy"] if name in graded else [f"{name}: agreement"])]
        head += [f"{name}: wall clock"] if any(key[0] == name for key in clock) else []
    settings = sorted({key[1:] for key in cells}, key=_order)
    rows = []
    for algorithm, d, tau in settings:
        row = [NAMES.get(algorithm, algorithm), str(d), "–" if tau is None else f"{tau:g}"]
        for name in names:
            cell = cells.get((name, algorithm, d, tau))
            quality = cell and cell["accuracy" if name in graded else "agreement"]
            row.append(interval(cell and cell["tokens_per_pass"], 2))
            row.append(interval(quality, 0, percent=True) if name in graded else interval(quality, 3))
            if any(key[0] == name for key in clock):
                measured = clock.get((name, algorithm, d, tau))
                row.append(f"{measured['speedup'][0]:.2f} ×" if measured else "–")
        rows.append(row)
    lines = [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]
    facts = ", ".join(f"{n} {name}" for name, n in decoded.items())
    lines.append(f"\n{facts}. Ranges: 95 % intervals. tokens/pass is no wall-clock figure.")
    return "\n".join([*lines, *likelihoods(result)])


def likelihoods(result: dict[str, Any]) -> list[str]:
    """The τ 1 answers beside the base's own, by the base's log-likelihood per token."""
    if "base" not in result:
        return []
    lines = ["", f"Log-likelihood per token (nats), read by {result['base']['model']}:"]
    for own in result["base"]["cells"]:
        lines.append(f"- {own['set']}, the base's own answers: {interval(own['log_likelihood'], 3)}")
        for c in result["cells"]:
            if c["set"] == own["set"] and c["base_log_likelihood"] and (c["threshold"] == 1 or c["block_size"] == 1):
                name = f"{NAMES[c['algorithm']]}, D {c['block_size']}" if c["block_size"] > 1 else "autoregressive"
                lines.append(f"- {c['set']}, τ 1 answers ({name}): {interval(c['base_log_likelihood'], 3)}")
    return lines


def _by_setting(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, str, int, float | None], Any]:
    """Cells or timings by set, algorithm, D and τ."""
    return {(row["set"], row["algorithm"], row["block_size"], row["threshold"]): row for row in rows}


def interval(estimate: Sequence[float | None] | None, digits: int, percent: bool = False) -> str:
    """ "2.91 (2.70–3.12)"."""
    if not estimate or estimate[0] is None:
        return "–"
    scale, unit = (100, " %") if percent else (1, "")
    value, low, high = (None if x is None else f"{scale * x:.{digits}f}" for x in estimate[:3])
    return f"{value}{unit}" if low is None else f"{value}{unit} ({low} to {high})"


def _order(setting: tuple[str, int, float | None]) -> tuple[int, int, float]:
    algorithm, d, tau = setting
    return (list(NAMES).index(algorithm) if algorithm in NAMES else 9, -d, -(tau or 0))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def compact(result: dict[str, Any], block_size: int = 8, rule: str = "prob_conf") -> str:
    """A README's table of the shipped sets: a row for each τ of one rule, then self-speculative and autoregressive
    decoding. By the clock, where answers were timed, stands beside their tokens per pass."""
    cells, clock = _by_setting(result["cells"]), _by_setting(result.get("wall_clock", []))
    taus = sorted({key[3] for key in cells if key[1] == rule and key[3] is not None}, reverse=True)
    settings: list[tuple[str, int, float | None]] = [(rule, block_size, tau) for tau in taus]
    settings += [("self_speculative", block_size, None), ("autoregressive", 1, None)]
    time = ["by the clock"] if clock else []
    head = ["rule", "τ", "problems: tokens per pass", "right", *time]
    head += ["open prompts: tokens per pass", *time, "agreement with τ 1"]
    lines = [_line(head), _line(["---"] * len(head))]
    for setting in settings:
        problems, chat = (cells.get((name, *setting)) for name in ("problems", "chat"))
        tau = setting[2]
        row = [
            f"`{setting[0]}`",
            "–" if tau is None else f"{tau:g}",
            interval(problems and problems["tokens_per_pass"], 2),
            interval(problems and problems["accuracy"], 0, percent=True),
            *([_by_the_clock(clock.get(("problems", *setting)))] if clock else []),
            interval(chat and chat["tokens_per_pass"], 2),
            *([_by_the_clock(clock.get(("chat", *setting)))] if clock else []),
            "–" if tau is None or not chat else f"{chat['agreement'][0]:.2f}",  # the others are not compared with τ 1
        ]
        lines.append(_line(row))
    return "\n".join(lines)


def _by_the_clock(timed: dict[str, Any] | None) -> str:
    if timed is None:
        return "–"
    at = "" if timed["algorithm"] == "autoregressive" else f" at {timed['tokens_per_pass'][0]:.2f}"
    return f"{timed['speedup'][0]:.2f} ×{at}"


if __name__ == "__main__":
    import json
    import sys
    from pathlib import Path

    for path in sys.argv[1:]:
        loaded = json.loads(Path(path).read_text(encoding="utf-8"))
        print(compact(loaded), *likelihoods(loaded), "", render(loaded), sep="\n")
