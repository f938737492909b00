"""Churn in a plan: noise that is added before an evaluation is added by the row before it.

``reference/samplers/churn.py`` states it.
"""

from __future__ import annotations

from ...reference.samplers.churn import Churn
from ...reference.samplers.common import Level
from .plan import Row


def churned(row: Row, churn: Churn, s: Level, s_hat: Level, draw: int) -> Row:
    """A row that leads to x at s, as one that leads on to x_hat at s_hat, by noise ``draw``."""
    of_x, of_noise = churn.factors(s, s_hat)
    earlier = [of_x * factor for factor in row.earlier]
    return row._replace(
        x=of_x * row.x, x0_hat=of_x * row.x0_hat, noise=of_noise, earlier=earlier, draw=draw
    )
