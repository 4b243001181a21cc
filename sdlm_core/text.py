"""Token ids to the text they add, one token at a time, without breaking characters that span tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

REPLACEMENT = "\ufffd"  # what a decoder prints for bytes that are not yet a character
HOLD_AT_MOST = 8  # tokens held back for one character; more than that are bytes that will never be one


class Decoder(Protocol):
    """What the text needs of a model."""

    end_token_ids: frozenset[int]

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of the tokens, special tokens included."""
        ...


class AnswerText:
    """The growing text of one answer.

    A token's piece is what it adds to the text before it. A token that ends inside a multi-byte character adds "", and
    the one that completes the character adds it whole. End tokens show in previews and add nothing to the text.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.text = ""
        self._context: list[int] = []  # tokens whose text is out, kept because decoders look at the neighbour
        self._held: list[int] = []  # tokens whose text is not out yet

    def extend(self, token_ids: Sequence[int]) -> list[str]:
        """Take tokens for good; returns each one's piece."""
        return [self._push(i) for i in token_ids]

    def preview(self, token_ids: Sequence[int]) -> list[str]:
        """The pieces the tokens would add, without taking them."""
        copy = AnswerText(self.decoder)
        copy._context, copy._held = list(self._context), list(self._held)
        return [copy._push(i, ends_show=True) for i in token_ids]

    def _push(self, token_id: int, ends_show: bool = False) -> str:
        if token_id in self.decoder.end_token_ids:
            return self.decoder.decode([token_id]) if ends_show else ""
        self._held.append(token_id)
        before = self.decoder.decode(self._context)
        after = self.decoder.decode(self._context + self._held)
        if after.endswith(REPLACEMENT) and len(self._held) < HOLD_AT_MOST:
            return ""
        piece = after[len(before) :]
        self._context, self._held = self._held[-4:], []
        self.text += piece
        return piece


def answer_text(decoder: Decoder, token_ids: Sequence[int]) -> str:
    """A whole answer as text, without its end token."""
    text = AnswerText(decoder)
    text.extend(token_ids)
    return text.text
