"""The schedule's tables as the device reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated import process as accelerated
from ddpm_mindspore.parity.examples.schedules import GATHERS, gather_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import elementwise
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.reference.schedule import Schedule


@first(GATHERS)
@budget.examples()
@given(case=gather_cases())
def test_gathers(case: Case) -> None:
    """every table of the schedule at t, as one number for each image"""
    gathers(**case)


@reproducible
def gathers(
    schedule: tuple[str, int, bool], t: Sequence[int], modes: Sequence[str] = device.MODES
) -> None:
    """Every table of ``accelerated.process.Process`` at ``t``, against its definition."""
    tables, times = device.process(*schedule), np.array(t, np.int32)
    like = np.zeros((len(t), 1, 1, 1), np.float32)
    for name, values in definitions(device.schedule(*schedule)).items():
        expected = values[times].reshape(like.shape)
        table = getattr(tables, name).asnumpy()
        for mode in modes:
            column = device.run(mode, accelerated.gather, table, times, like)
            # Rounded once from float64, and then only moved.
            check(f"{name}[t] ({mode})", column, expected, elementwise(1, expected), t=t)


def definitions(s: Schedule) -> dict[str, Array]:
    """The tables by their formulas, with 1 for what cannot be divided by and is never read."""
    signal, noise = s.sqrt_alpha_bar, s.sqrt_one_minus_alpha_bar
    divisor = np.where(signal > 0.0, signal, 1.0)
    return {
        "signal": signal,
        "noise": noise,
        "recip_signal": 1.0 / divisor,
        "noise_over_signal": noise / divisor,
    }
