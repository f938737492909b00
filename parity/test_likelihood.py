"""What bits are counted from: the estimate, and its derivative along a direction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from autograd.core import make_vjp
from hypothesis import given

from ddpm_mindspore.accelerated.evaluation import likelihood
from ddpm_mindspore.parity.examples.likelihood import PROBED, probed_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, tasks


@first(PROBED)
@budget.examples(0.2)
@given(case=probed_cases())
def test_probe(case: Case) -> None:
    """v . (J v) of x0_hat by x_t, through the network"""
    probed(**case)


@reproducible
def probed(
    schedule: tasks.Schedule,
    objective: str,
    self_condition: bool,
    t: float,
    shape: Sequence[int],
    batch: int,
    seed: int,
    modes: Sequence[str],
) -> None:
    """Of a drawn network, along drawn signs."""
    net, params = tasks.network(shape[0], self_condition, seed)
    x, signs = device.draw(seed, (2, batch, *shape))
    v = np.where(signs < 0, -1.0, 1.0).astype(np.float32)
    times = np.full(batch, t)

    def in_reference(a: Arrays) -> Arrays:
        predict_x0 = tasks.predict_x0(net, schedule, objective, a)
        vjp, x0_hat = make_vjp(lambda x: predict_x0(x, times), a["x"])
        along = (a["v"] * vjp(a["v"])).reshape(batch, -1).sum(1)
        return {"x0_hat": x0_hat, "along": along}

    truth, bounds = deep(in_reference, {"x": x, "v": v, **params})
    for mode in modes:
        asked = likelihood.probe(tasks.solver(net, schedule, objective, mode))
        x0_hat, along = asked(x.astype(np.float64), times, v.astype(np.float64))
        check(f"x0_hat ({mode})", x0_hat, truth["x0_hat"], bounds["x0_hat"])
        check(f"v . (J v) ({mode})", along, truth["along"], bounds["along"])
