"""How far a figure would move if other items had been drawn: the Bayesian bootstrap.

Rubin 1981, "The Bayesian Bootstrap": each replicate gives every item a random weight, uniform over
all weights that sum to 1. The usual bootstrap's weights are multiples of 1/n, so that it sees
items twice, which distances between items cannot bear.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..schedule import Table

WIDTH = 1.959964
"""Standard deviations on either side that hold 95 % of a normal distribution."""


class Figure(NamedTuple):
    """A measured number.

    Attributes:
        value: of all items alike.
        error: its sampling error: the standard deviation over replicates.
    """

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """Where it is to be expected in 95 of 100 repetitions: value -+ 1.96 error."""
        return self.value - WIDTH * self.error, self.value + WIDTH * self.error


def weights(rng: np.random.Generator, n: int, replicates: int) -> Table:
    """(1 + replicates, n), rows that sum to 1: equal weights, and then random ones."""
    drawn = rng.standard_exponential((replicates, n))
    return np.concatenate([np.full((1, n), 1.0 / n), drawn / drawn.sum(1, keepdims=True)])


def figure(values: Table) -> Figure:
    """Of a statistic for each row of ``weights``; the error is 0 without replicates."""
    return Figure(float(values[0]), float(np.std(values[1:], ddof=1)) if len(values) > 2 else 0.0)
