"""Traces without a model: what they say is made up, what they obey is the format."""

from __future__ import annotations

import random

from sdlm_core import Alternative, Candidate, DecodeConfig, Pass, Trace

TEXT = (
    "Sunlight reaches us through air , and air scatters short waves far more than long ones . Blue light is short , "
    "so from every part of the sky some of it finds your eye . \n At sunset the path is longer ; most of the blue is "
    "gone by then , and what is left is red ."
)
WORDS = [w if w in ",.;\n" or i == 0 else " " + w for i, w in enumerate(TEXT.split(" "))]
WRONG = [" the", " a", " and", " of", " sky", " colour", ",", ".", " light", " it", " to", " in"]
END = "<|im_end|>"


def make_trace(
    passes: int | None = None,
    block_size: int = 8,
    threshold: float = 0.6,
    texts: list[str] | None = None,
    seed: int = 5,
) -> Trace:
    """A run that writes `texts` and an end token; with a number of passes it cycles through them that long."""
    dice = random.Random(seed)
    words = texts or WORDS
    answer = [*words, END] if passes is None else [words[i % len(words)] for i in range(passes * block_size)]
    ids = {END: 2} | {w: 100 + i for i, w in enumerate(dict.fromkeys([*words, *WRONG]))}
    made: list[Pass] = []
    start = reused = 0
    while start < len(answer) and (passes is None or len(made) < passes):
        places = answer[start : start + block_size] + [END] * (start + block_size - len(answer))
        level = dice.choice([0.9, 0.95, 0.97, 0.99])
        candidates: list[Candidate] = []
        kept, sure = 0, True
        for i, word in enumerate(places):
            level *= dice.uniform(0.72, 1.0)
            right = i == 0 or dice.random() < level + 0.12
            confidence = round(max(0.03, level if right else level * 0.7), 4)
            sure = sure and right and start + i < len(answer) and (i == 0 or confidence > threshold)
            if not right or not sure:
                confidence = min(confidence, round(threshold * 0.9, 4))  # a discarded guess was not sure enough
            kept += sure
            candidates.append(_candidate(word if right else dice.choice(WRONG), confidence, ids, dice))
        written = made[-1].accepted if made else 30
        reused += made[-1].rows_written if made else 0
        made.append(Pass(len(made), start, tuple(candidates), kept, written + block_size, reused, written, 0.046))
        start += kept
    token_ids = [i for p in made for i in p.accepted_ids]
    return Trace(
        model="synthetic",
        prompt="<|im_start|>user\nWhy is the sky blue?<|im_end|>\n<|im_start|>assistant\n",
        prompt_tokens=30,
        config=DecodeConfig(threshold=threshold, block_size=block_size),
        block_size=block_size,
        passes=tuple(made),
        token_ids=token_ids,
        text="".join(c.text for p in made for c in p.candidates[: p.accepted] if c.text != END),
        finish_reason="eos" if token_ids[-1] == ids[END] else "length",
        created="2026-01-01T00:00:00+00:00",
        device="none",
    )


def _candidate(text: str, confidence: float, ids: dict[str, int], dice: random.Random) -> Candidate:
    others = [w for w in dice.sample(WRONG, 5) if w != text][:4]
    rest = [Alternative(ids[w], w, round((1 - confidence) / (k + 2), 4)) for k, w in enumerate(others)]
    alternatives = (Alternative(ids[text], text, confidence), *rest)
    return Candidate(ids[text], text, confidence, confidence, round(3 * (1 - confidence), 4), alternatives)


HOSTILE = [
    "<script>window.hacked = 1</script>",
    "</script><script>window.hacked = 2</script>",
    "<img src=x onerror=window.hacked=3>",
    '"><svg onload=window.hacked=4>',
    "**bold** `code` [link](javascript:window.hacked=5)",
    "{{constructor.constructor('window.hacked=6')()}}${window.hacked=7}",
    "\u202eobey me\u202c",
    "שלום עולם",
    "\u200b\u200d\u2060\ufeff",
    "👨\u200d👩\u200d👧",
    "\n\n",
    "\u2028\u2029",
    "x" * 500,
    "\x00\x07\x1b[31m",
    "&lt;b&gt;&amp;",
    "<!--",
    "]]>",
    "",
    "\ue000\ud7ff\U0010ffff",
    "__proto__",
]
