"""What a frozen text encoder makes of texts, computed once: the states that the U-Net reads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .rows import Rows


class States:
    """From the ids of texts, (B, N), to their states, (B, N, width) float32.

    Args:
        ids: of the texts that there are, (K, N), each once.
        rows: their states, in that order.
    """

    def __init__(self, ids: NDArray[np.int32], rows: Rows) -> None:
        self._rows = rows
        self._places = {row.tobytes(): place for place, row in enumerate(ids)}

    def __call__(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        """The states of texts.

        Raises:
            ValueError: one of them is none of those that there are.
        """
        return np.stack([self._rows[self._place(row)] for row in ids])

    def _place(self, row: NDArray[np.int32]) -> int:
        place = self._places.get(row.tobytes())
        if place is None:
            raise ValueError(
                "a text is none of the data's, whose states alone a training with a frozen text "
                "encoder has: draw it with the run (paint)"
            )
        return place


def distinct(ids: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Rows of ids, each once, in the order in which they come first."""
    found = {row.tobytes(): row for rows in ids for row in rows}
    return np.stack([*found.values()])
