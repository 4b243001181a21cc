"""Sizes: every number that rows, slots and cache lengths are rounded up to before something is computed.

A kernel, an allocation or a CUDA graph is made anew for each size it meets, so sizes are few. What is added is padding:
computed and forgotten, or hidden by the attention bias. It knows nothing of tensors.
"""

from __future__ import annotations

from collections.abc import Sequence

# -- the cache --------------------------------------------------------------------------------------------------------

INITIAL_CAPACITY = 256  # rows of a slot; doubled until the text fits


def cache_capacity(rows: int) -> int:
    """Rows that a pool makes room for where `rows` are needed."""
    return max(INITIAL_CAPACITY, power_of_two(rows))


# -- passes of any shape (CPU, or a GPU without graphs) ---------------------------------------------------------------

SHARED_ROWS = 32  # runs of at most so many rows share an attention call; one of more attends for itself
BLOCK_PLACES = 16  # a pass of any shape writes each block to the cache from a multiple of so many rows on
LENGTH_STEP = 64  # attention is computed over a multiple of so many rows of the cache


FEWEST_ROWS = 4  # of a packed product that sums more numbers than it gives
COLUMN_ROWS = range(4, 64)  # rows of a float32 product that are taken as columns; fewer or more gain nothing by it


def product_rows(rows: int) -> int:
    """Rows of a matrix product: `rows` up to 16, beyond it a number not much larger: a multiple of 8, from 128 on of a
    quarter of a power of two."""
    step = 1 if rows <= 16 else 8 if rows <= 128 else 1 << (rows - 1).bit_length() - 3
    return multiple(rows, step)


def attention_rows(rows: int) -> int:
    """Rows of one run that attend, fewer sizes still: powers of two to 16, then as `product_rows`.

    Attention meets each of them with many lengths of the cache, and oneDNN keeps two kernels for each pair: unrounded,
    every prompt of another length left a megabyte behind.
    """
    return power_of_two(rows) if rows <= 16 else product_rows(rows)


def attention_length(rows: int, shared: bool = False) -> int:
    """Rows of the cache that attention is computed over where `rows` are needed. Runs that share it: larger steps."""
    return multiple(rows, 2 * LENGTH_STEP if shared else LENGTH_STEP)


def attention_slots(slots: int) -> int:
    """Slots that attend together where `slots` are in use."""
    return slots if slots == 1 else multiple(slots, 2 if slots <= 8 else 4 if slots <= 16 else 8)


def block_places(rows: int, width: int, blocks: int) -> int:
    """Rows of the cache in use where `blocks` blocks of `width` follow `rows` rows of text."""
    return multiple(rows, BLOCK_PLACES) + blocks * multiple(width, BLOCK_PLACES) if blocks else rows


# -- passes at fixed shapes (CUDA graphs): slots, rows and lengths are powers of two ----------------------------------

FEWEST_FIXED_ROWS = 8
MOST_FIXED_ROWS = 128  # a run with more rows in a pass is read without a graph, and so is one that would widen many
FIXED_ROWS = tuple(FEWEST_FIXED_ROWS << i for i in range((MOST_FIXED_ROWS // FEWEST_FIXED_ROWS).bit_length()))
# Rows of padding that a second pass without a graph is worth: it streams the weights again, and launches some thousand
# kernels one by one. An estimate for models of some billions; not measured.
SECOND_PASS_ROWS = 1024


def most_fixed_rows(sizes: Sequence[int]) -> int:
    """The rows that runs are padded to at fixed shapes. Those with more are read apart, where padding all the others to
    their width would cost more."""

    def cost(most: int) -> int:
        wide = [n for n in sizes if n > most]
        return len(sizes) * most + (SECOND_PASS_ROWS + sum(wide) if wide else 0)

    return min(FIXED_ROWS, key=cost)


# -- helpers ----------------------------------------------------------------------------------------------------------


def power_of_two(n: int) -> int:
    """The smallest power of two that is at least n."""
    return 1 << (n - 1).bit_length()


def multiple(n: int, step: int) -> int:
    """The smallest multiple of `step` that is at least n."""
    return -(-n // step) * step
