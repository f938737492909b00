"""Polynomials through what was estimated before, which multistep solvers integrate.

Of host numbers alone: both sides take their weights from here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..schedule import Schedule, Table, levels_at

_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(16)  # type: ignore[no-untyped-call]


def lagrange(nodes: Sequence[float], x: Table) -> Table:
    """The Lagrange polynomials of k nodes at x: shape (k, *x.shape), 1 at their own node alone."""
    found = []
    for j, own in enumerate(nodes):
        others = [node for i, node in enumerate(nodes) if i != j]
        found.append(np.prod([(x - other) / (own - other) for other in others], axis=0) + 0.0 * x)
    return np.stack(found)


def mean_weights(nodes: Sequence[float], start: float, end: float) -> tuple[float, ...]:
    """Weights of values at the nodes in the mean from start to end of the polynomial through them.

    Those of Adams and Bashforth: for nodes 0, 1 and the interval -1..0 they are 3/2 and -1/2.
    """
    inside = (start + end) / 2.0 + (end - start) / 2.0 * _POINTS
    return tuple(map(float, lagrange(nodes, inside) @ _WEIGHTS / 2.0))


def sigma_weights(
    schedule: Schedule, nodes: Sequence[float], start: float, end: float
) -> tuple[float, ...]:
    """The integrals from t = start down to t = end of the Lagrange polynomials in t over d sigma.

    sigma = noise / signal is the tangent of an angle that is linear in t between whole times
    (``schedule.levels_at``), and each such piece is integrated by Gauss and Legendre's rule. One
    node: sigma_end - sigma_start, exactly. No signal at the start, where sigma is infinite, is for
    one node only, which is not for here: see ``deis``.
    """

    def sigma_at(t: float) -> float:
        signal, noise = levels_at(schedule, t)
        return float(noise / signal)

    if len(nodes) == 1:
        return (sigma_at(end) - sigma_at(start),)
    knots = [start, *range(int(np.ceil(start)) - 1, int(np.floor(end)), -1), end]
    upper, lower = np.array(knots[:-1], float)[:, None], np.array(knots[1:], float)[:, None]
    inside = (upper + lower) / 2.0 + (lower - upper) / 2.0 * _POINTS
    angle = _angle(schedule)
    slope = (angle(lower) - angle(upper)) / 2.0  # d angle by half of the piece
    rates = slope * _WEIGHTS / np.cos(angle(inside)) ** 2
    return tuple(map(float, np.sum(lagrange(nodes, inside) * rates, axis=(1, 2))))


def _angle(schedule: Schedule) -> Callable[[Table], Table]:
    def angle(t: Table) -> Table:
        signal, noise = levels_at(schedule, t)
        found: Table = np.arctan2(noise, signal)
        return found

    return angle
