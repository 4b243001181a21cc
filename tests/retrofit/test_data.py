"""Reading conversations: spans of answers, the held-out split, the order and the mixture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sdlm_core.errors import SDLMError
from sdlm_core.retrofit.data import Mixture, is_held_out, load_sources, tokenize
from tests.retrofit import tiny

TALK = [("human", "hi"), ("gpt", "hello"), ("human", "bye"), ("gpt", "so long")]
RECORD = {"conversations": [{"from": who, "value": text} for who, text in TALK]}


def test_turns_are_the_answers_with_their_end_token() -> None:
    tokenizer = tiny.tokenizer()
    conversation = tokenize(RECORD, tokenizer, max_tokens=512)
    spoken = [tokenizer.decode(conversation.token_ids[a:b]) for a, b in conversation.turns]
    assert spoken == ["hello<|im_end|>", "so long<|im_end|>"]
    prompt = tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], add_generation_prompt=True)
    assert conversation.token_ids[: conversation.turns[0][0]] == prompt["input_ids"]


def test_an_unfinished_answer_has_no_end_token() -> None:
    tokenizer = tiny.tokenizer()
    conversation = tokenize({**RECORD, "finished": False}, tokenizer, max_tokens=512)
    spoken = [tokenizer.decode(conversation.token_ids[a:b]) for a, b in conversation.turns]
    assert spoken == ["hello<|im_end|>", "so long"]


@pytest.mark.parametrize("finished", [True, False])
def test_the_template_says_where_an_answer_ends(finished: bool) -> None:
    """A base checkpoint's end token is another one than its template closes turns with."""
    tokenizer = tiny.tokenizer(end="<unk>")
    conversation = tokenize({**RECORD, "finished": finished}, tokenizer, max_tokens=512)
    spoken = [tokenizer.decode(conversation.token_ids[a:b]) for a, b in conversation.turns]
    assert spoken == ["hello<|im_end|>", "so long<|im_end|>" if finished else "so long"]


def test_half_a_character_is_read_as_a_question_mark(tmp_path: Path) -> None:
    halves = [(who, f"{text} \ud83d") for who, text in TALK]
    marked = [(who, f"{text} ?") for who, text in TALK]
    broken, mended = (
        {"conversations": [{"from": who, "value": text} for who, text in said]} for said in (halves, marked)
    )
    assert tokenize(broken, tiny.tokenizer(), max_tokens=512) == tokenize(mended, tiny.tokenizer(), max_tokens=512)
    (source,) = load_sources(tiny.jsonl(tmp_path / "a.jsonl", [("hi \ud83d", "hello \ud83d")]), held_out=0.0)
    assert Mixture([source], tiny.tokenizer(), seed=0, max_tokens=99).draw()[1].turns


def test_a_conversation_that_the_template_refuses_is_named(tmp_path: Path) -> None:
    tokenizer = tiny.tokenizer()
    tokenizer.chat_template = (
        "{% if messages[0].content == 'two' %}{{ raise_exception('Roles must alternate.') }}{% endif %}" + tiny.TEMPLATE
    )
    sources = load_sources(tiny.jsonl(tmp_path / "a.jsonl", [("two", "too")]), held_out=0.0)
    with pytest.raises(SDLMError, match=r'a\.jsonl, the line that begins .*"two".*Roles must alternate'):
        Mixture(sources, tokenizer, seed=0, max_tokens=99).draw()


def test_long_conversations_are_cut_inside_a_turn() -> None:
    whole = tokenize(RECORD, tiny.tokenizer(), max_tokens=512)
    cut = tokenize(RECORD, tiny.tokenizer(), max_tokens=whole.turns[1][0] + 2)
    assert cut.turns == [whole.turns[0], (whole.turns[1][0], whole.turns[1][0] + 2)]
    assert len(cut.token_ids) == cut.turns[1][1]
    assert tokenize(RECORD, tiny.tokenizer(), max_tokens=3).turns == []


def test_held_out_prompts_depend_on_the_text_alone(tmp_path: Path) -> None:
    prompts = [f"question {i}" for i in range(2000)]
    chosen = {p for p in prompts if is_held_out(p, 0.05)}
    assert 60 < len(chosen) < 140
    (source,) = load_sources(tiny.jsonl(tmp_path / "a.jsonl", [(p, "x") for p in prompts]), held_out=0.05)
    assert {json.loads(line)["conversations"][0]["value"] for line in source.held_out} == chosen
    assert len(source.records) + len(source.held_out) == 2000


def test_the_order_is_a_function_of_the_seed_and_resumes(tmp_path: Path) -> None:
    data = tiny.jsonl(tmp_path / "a.jsonl", [(f"q{i}", f"a{i}") for i in range(7)])
    sources = load_sources(data, held_out=0.0)

    def draws(mixture: Mixture, count: int) -> list[list[int]]:
        return [mixture.draw()[1].token_ids for _ in range(count)]

    first = Mixture(sources, tiny.tokenizer(), seed=5, max_tokens=99)
    whole = draws(first, 20)
    assert len({tuple(ids) for ids in whole[:7]}) == 7  # an epoch is a permutation
    assert whole[:7] != whole[7:14]
    again = Mixture(sources, tiny.tokenizer(), seed=5, max_tokens=99)
    draws(again, 9)
    resumed = Mixture(sources, tiny.tokenizer(), seed=5, max_tokens=99)
    resumed.restore(again.state)
    assert draws(resumed, 11) == whole[9:]
    assert draws(Mixture(sources, tiny.tokenizer(), seed=6, max_tokens=99), 20) != whole


def test_weights_are_shares_of_rows(tmp_path: Path) -> None:
    tiny.jsonl(tmp_path / "long.jsonl", [(f"q{i}", "a" * 80) for i in range(9)])
    tiny.jsonl(tmp_path / "short.jsonl", [(f"q{i}", "b") for i in range(9)])
    entries = [{"path": "long.jsonl", "weight": 3, "group": "l"}, {"path": "short.jsonl", "weight": 1, "group": "s"}]
    meta = tmp_path / "meta.json"
    meta.write_text(json.dumps({"sources": entries}))
    mixture = Mixture(load_sources(meta, held_out=0.0), tiny.tokenizer(), seed=0, max_tokens=512)
    for _ in range(300):
        index, conversation = mixture.draw()
        mixture.account(index, len(conversation.token_ids))
    assert mixture.rows[0] / mixture.rows[1] == pytest.approx(3, rel=0.05)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.jsonl", '{"text": "no conversation"}\n', "line 1"),
        ("a.jsonl", "", "no conversation to train on"),
        ("a.jsonl", "caf\xe9", "not text in UTF-8"),
        ("a.json", '{"files": []}', "no meta file"),
        ("a.json", '{"sources": [{"path": "gone.jsonl"}]}', "no data file"),
        ("a.json", '{"sources": []}', "at least one source"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(SDLMError, match=says):
        load_sources(tmp_path / name, held_out=0.0)


def test_a_file_without_answers_is_said_rather_than_searched_for_ever(tmp_path: Path) -> None:
    sources = load_sources(tiny.jsonl(tmp_path / "a.jsonl", [(f"q{i}", "an answer") for i in range(5)]), held_out=0.0)
    with pytest.raises(SDLMError, match=r"a\.jsonl has an answer within 3 tokens"):
        Mixture(sources, tiny.tokenizer(), seed=0, max_tokens=3).draw()
