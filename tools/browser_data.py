"""What the browser's half needs to know of Python's: python -m tools.browser_data

Writes app/theatre/js/generated.js (the trace's types, algorithms, limits, defaults) and tests/js/cases.json (what the
acceptance rules make of some numbers). Run it after changing any of these; a test compares.
"""

from __future__ import annotations

import json
import random
import types
import typing
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from app import limits
from sdlm_core import Alone, Alternative, Candidate, DecodeConfig, GivenToken, Pass, Trace
from sdlm_core.decoding.algorithms import count_accepted
from sdlm_core.decoding.candidates import ALTERNATIVES, filtered_distribution, shortest
from sdlm_core.evaluate.metrics import agreement
from sdlm_core.trace import FORMAT, VERSION

ROOT = Path(__file__).parent.parent
MODULE = ROOT / "app" / "theatre" / "js" / "generated.js"
CASES = ROOT / "tests" / "js" / "cases.json"
SIMPLE = {int: "number", float: "number", str: "string", bool: "boolean", type(None): "null"}
CLASSES = {Candidate: "Candidate", Pass: "Pass", DecodeConfig: "Config"}


def module() -> str:
    """The JavaScript module: types as JSDoc, values as constants."""
    page = limits.for_page()
    settings = {"block_size", "threshold", *limits.FILTERS, "max_new_tokens"}
    values = {
        "ALGORITHMS": page["algorithms"],
        "GUESSES": page["guesses"],
        "BY_CONFIDENCE": page["by_confidence"],
        "RACE": page["race"],
        "DEFAULTS": DecodeConfig().to_dict() | page["defaults"],
        "LIMITS": {name: limit for name, limit in page["limits"].items() if name in settings},
        "MAX_PROMPT_CHARACTERS": page["limits"]["prompt_characters"],
        "MAX_FORK_CHARACTERS": page["limits"]["fork_characters"],
        "MAX_FORKS": page["limits"]["forks"],
        "MAX_SYSTEM_CHARACTERS": page["limits"]["system_characters"],
        "MAX_TRACE_CHARACTERS": page["limits"]["trace_characters"],
        "MAX_CANDIDATES": page["limits"]["trace_candidates"],
    }
    alternative, alone, given = (
        ", ".join(f"{f.name}: {typescript(t)}" for f, t in typed_fields(kind))
        for kind in (Alternative, Alone, GivenToken)
    )
    lines = [
        "/* Written by `python -m tools.browser_data` from sdlm_core and app/limits.py. Change it there. */",
        "",
        "/** A token the model might have put there. @typedef {[" + alternative + "]} Alternative */",
        "/** What a coherent guess's row alone says of it. @typedef {[" + alone + "]} Alone */",
        "/** A token of the answer that was not decoded. @typedef {[" + given + "]} GivenToken */",
        *(typedef(name, kind) for kind, name in CLASSES.items()),
        typedef("Trace", Trace, format=f'"{FORMAT}"', version=str(VERSION)),
        "",
        *(f"export const {name} = {json.dumps(value)};" for name, value in values.items()),
    ]
    return "\n".join(lines) + "\n"


def typed_fields(kind: type) -> list[tuple[Any, Any]]:
    """A dataclass's fields and their types."""
    hints = typing.get_type_hints(kind)
    return [(f, hints[f.name]) for f in fields(kind)]


def typedef(name: str, kind: type, **more: str) -> str:
    """A dataclass's JSON form as a JSDoc type."""
    members = more | {
        f"{f.name}?" if t == Alone | None else f.name: "Alone" if t == Alone | None else typescript(t)
        for f, t in typed_fields(kind)
    }
    return "/** @typedef {{" + ", ".join(f"{n}: {t}" for n, t in members.items()) + f"}}}} {name} */"


def typescript(kind: Any) -> str:
    """A Python type as TypeScript writes that of its JSON form."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if kind in CLASSES:
        return CLASSES[kind]
    if kind in (Alternative, GivenToken):
        return str(kind.__name__)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return "|".join(typescript(a) for a in arguments)
    if origin is typing.Literal:
        return "|".join(json.dumps(a) for a in arguments)
    if origin in (list, tuple):
        return f"{typescript(arguments[0])}[]"
    if origin is dict:
        return f"{{[key: {typescript(arguments[0])}]: {typescript(arguments[1])}}}"
    raise TypeError(f"No TypeScript is known for {kind}.")


def cases() -> str:
    """What Python accepts: confidences at, just above and just below τ, and many by chance."""
    dice = random.Random(14)
    made: list[dict[str, Any]] = []
    for threshold in (0.0, 0.5, 0.9, 1.0):
        for confidences in ([threshold], [1.0, threshold], [0.9999999, 0.5000001, 0.5], [0.0], [1.0] * 8):
            made.append({"confidences": confidences, "threshold": threshold})
    for _ in range(200):
        count = dice.randint(1, limits.MAX_BLOCK_SIZE)
        confidences = [round(dice.random() ** 0.3, dice.randint(1, 9)) for _ in range(count)]
        made.append({"confidences": confidences, "threshold": round(dice.random(), 2)})
    for case in made:
        case["accepted"] = count_accepted(case["confidences"], case["threshold"])
    agreements = [
        {"answer": answer, "reference": reference, "agreement": agreement(answer, reference)}
        for answer, reference in (
            ([dice.randint(0, 5) for _ in range(dice.randint(0, 12))] for _ in range(2)) for _ in range(60)
        )
    ]
    found = {"thresholds": made, "agreements": agreements, "filters": filtered_cases()}
    return json.dumps(found, indent=None).replace("}, {", "},\n{") + "\n"


def filtered_cases() -> list[dict[str, Any]]:
    """What filters make of whole distributions, and what a record holds of each: its likeliest tokens."""
    generator = torch.Generator().manual_seed(16)
    dice = random.Random(16)
    made = []
    for _ in range(160):
        size = dice.choice((3, 5, 8, 40))
        logits = dice.choice((1.0, 3.0, 8.0)) * torch.randn(1, size, generator=generator)
        ran = dice.choice((0.0, 0.0, 0.7, 1.5))
        filters: dict[str, Any] = {
            "temperature": dice.choice((0.0, ran, 0.1, 0.8, 1.2, 2.0)),
            "top_p": dice.choice((1.0, 1.0, 0.3, 0.5, 0.8, 0.95)),
            "top_k": dice.choice((0, 0, 1, 2, 4, 7)),
        }
        recorded = filtered_distribution(logits, DecodeConfig(temperature=ran))[0]
        known, ids = recorded.topk(min(ALTERNATIVES, size))
        before = filtered_distribution(logits, DecodeConfig())[0][ids]
        after = filtered_distribution(logits, DecodeConfig(**filters))[0][ids]
        rows = {"known": known, "before": before, "after": after}
        case: dict[str, Any] = {name: [shortest(x) for x in row.numpy()] for name, row in rows.items()}
        made.append(case | {"vocabulary": size, "ran": ran, "filters": filters})
    return made


def main() -> None:
    """Write both files."""
    for path, text in ((MODULE, module()), (CASES, cases())):
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
