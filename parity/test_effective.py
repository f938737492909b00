"""What "float32" means on this device: every bit is kept, of factors and of sums."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from ddpm_mindspore.parity.examples.operators import COPIES, copy_cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import SMALLEST_NORMAL
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, effective
from ddpm_mindspore.parity.sides.products import OPERATORS, product_of


@pytest.mark.parametrize("operator", OPERATORS)
def test_float32(operator: str) -> None:
    """factors, products and sums keep the 24 bits of float32"""
    for kernels in device.KERNELS:
        float32(operator=operator, kernels=kernels)


@reproducible
def float32(operator: str, kernels: str = "auto") -> None:
    """Of each operator it is said what it computes in, which has to be float32."""
    found = effective.precision(product_of(operator, kernels))
    kept = [found.factor, found.product, found.sum, found.wide]
    check(f"{operator} in {found.name}", kept, [effective.BITS, True, effective.BITS, True], 0.0)


@budget.examples(0.1)
@given(case=copy_cases())
@first(COPIES)
def test_copies(case: Case) -> None:
    """x I = x, bit for bit, for numbers of every kind"""
    copies(**case)


@reproducible
def copies(operator: str, count: int, dim: int, seed: int, kernels: str) -> None:
    """``count`` rows of ``dim`` numbers; a device may have zeros for subnormal ones."""
    x = effective.every_kind_of_number(seed, count * dim).reshape(count, dim)
    copy = product_of(operator, kernels)(x, np.eye(dim, dtype=np.float32))
    smallest = SMALLEST_NORMAL["float32"]
    check(f"{operator} copies", copy, x, np.where(np.abs(x) < smallest, smallest, 0.0), x=x)
