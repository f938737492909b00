"""vocabulary.txt of a run whose network is told texts: the pieces that it knows, one a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...reference.config.wukong import PREFIXES
from ...reference.networks.initial import DEVIATION
from ...reference.text.tokenizer import Tokenizer, read_vocabulary
from ..system.files import replace_file
from .folder import RunFolder

if TYPE_CHECKING:
    from ..diffusion import GaussianDiffusion


TABLE = PREFIXES["text_encoder"] + "embedding_table"
"""The parameter that has a row for each piece."""


def with_new_rows(table: NDArray[np.float32], drawn: NDArray[np.float32]) -> NDArray[np.float32]:
    """A token table with rows for new pieces behind its own.

    They are drawn as first rows are, and get the mean and the deviation of those that were learned.
    """
    size = table.std() / DEVIATION["embedding_table"]
    rows = table.mean(0, keepdims=True) + size * drawn
    return np.concatenate((table, rows.astype(np.float32)))


def read_tokenizer(run: RunFolder) -> Tokenizer:
    """What cuts texts for a run's network.

    Raises:
        ValueError: the run has no vocabulary, or its file is damaged.
    """
    try:
        return Tokenizer(read_vocabulary(run.vocabulary))
    except FileNotFoundError:
        raise ValueError(
            f"run {str(run.path)!r} has no {run.vocabulary.name}, by which its network is told "
            "texts: bring it back"
        ) from None


def write_tokenizer(run: RunFolder, tokenizer: Tokenizer | None) -> None:
    """Write it, if there is one; ids are the numbers of lines, from 0."""
    if tokenizer is None:
        return
    pieces = sorted(tokenizer.vocabulary, key=tokenizer.vocabulary.__getitem__)
    replace_file(run.vocabulary, "".join(f"{piece}\n" for piece in pieces).encode())


def tokenizer_for(
    diffusion: GaussianDiffusion, run: RunFolder, *, resume: bool
) -> Tokenizer | None:
    """What cuts texts where a network is told any: as long as a run lasts, ids mean the same.

    Raises:
        ValueError: there is none, or it has more pieces than the network.
    """
    if not diffusion.model.captioned:
        return None
    tokenizer = read_tokenizer(run) if resume else diffusion.tokenizer
    if tokenizer is None:
        raise ValueError(
            "the network is told texts, and nothing cuts them: set diffusion.tokenizer, as to "
            "reference.text.tokenizer.shipped()"
        )
    rows = diffusion.model.config.vocabulary  # type: ignore[attr-defined]
    if tokenizer.size > rows:
        raise ValueError(
            f"vocabulary {rows} of the network is less than the {tokenizer.size} pieces of the "
            "tokenizer: make it that"
        )
    return tokenizer
