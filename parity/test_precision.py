"""Half precision, the scale of the loss, and steps that are left out.

A layer in half precision is compared with the reference in float64; the bound follows from the unit
round-off of that precision, see ``tolerance.deep``. Where the device cannot compute in it, the
property is skipped and says so.
"""

from __future__ import annotations

import pytest
from hypothesis import given

from ddpm_mindspore.accelerated import precision
from ddpm_mindspore.parity.examples.layers import half_cases
from ddpm_mindspore.parity.examples.training import LEFT_OUT, spoiled_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device
from ddpm_mindspore.parity.test_layers import layer
from ddpm_mindspore.parity.test_training import steps


@first(LEFT_OUT)
@budget.examples(0.05)
@given(case=spoiled_cases())
def test_left_out(case: Case) -> None:
    """a scaled loss trains as the loss itself; a step with a NaN changes nothing"""
    steps(**case, modes=("eager",))


@budget.examples(0.05)
@given(case=spoiled_cases())
def test_left_out_compiled(case: Case) -> None:
    """a scaled loss trains as the loss itself; a step with a NaN changes nothing, as graphs"""
    steps(**case, modes=("compiled",))


@budget.examples(0.2)
@given(case=half_cases())
def test_float16(case: Case) -> None:
    """layers whose products, or more, are in float16, forwards and backwards"""
    _need("float16")
    layer(**case, dtype="float16", modes=("eager",))


@budget.examples(0.2)
@given(case=half_cases())
def test_bfloat16(case: Case) -> None:
    """layers whose products, or more, are in bfloat16, forwards and backwards"""
    _need("bfloat16")
    layer(**case, dtype="bfloat16", modes=("eager",))


@device.remembered
def _refusal(dtype: str) -> str:
    try:
        precision.check_dtype(dtype)
    except ValueError as error:
        return str(error)
    return ""


def _need(dtype: str) -> None:
    if reason := _refusal(dtype):
        pytest.skip(f"not on this device: {reason.partition(', which')[0]}")
