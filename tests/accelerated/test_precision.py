"""Which parts of a network are in half precision, and what the device can do of it."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, ops

from ddpm_mindspore.accelerated import kernels, precision
from ddpm_mindspore.accelerated.networks.operators import Convolution, Factored
from ddpm_mindspore.accelerated.networks.unet import Unet
from ddpm_mindspore.accelerated.precision import check_dtype, set_precision
from ddpm_mindspore.accelerated.system import runtime
from ddpm_mindspore.reference.precision import to_bfloat16

HALF, FULL = ms.float16, ms.float32


def tiny() -> Unet:
    return Unet(4, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=4, full_attn=True)


@pytest.mark.parametrize(
    ("level", "convolution", "time"),
    [
        ("O0", (FULL, FULL), (FULL, FULL)),
        ("O1", (HALF, FULL), (HALF, FULL)),
        ("O2", (HALF, HALF), (FULL, FULL)),
        ("O3", (HALF, HALF), (HALF, HALF)),
    ],
)
def test_what_computes_in_half_precision_at_a_level(
    level: str, convolution: tuple[Any, Any], time: tuple[Any, Any]
) -> None:
    network = tiny()
    set_precision(network, "O3", "float16")  # a level replaces the one before
    set_precision(network, level, "float16")
    for name, cell in network.cells_and_names():
        if isinstance(cell, precision.MixedCell):
            expected = time if name.startswith("time_mlp") else convolution
            assert (cell.compute, cell.result) == expected, name


@pytest.mark.parametrize("level", ["O1", "O2", "O3"])
def test_softmaxes_the_output_and_all_parameters_are_in_float32(
    level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = tiny()
    set_precision(network, level, "float16")
    seen: list[Any] = []
    softmax = ops.Softmax

    def watched(axis: int) -> Any:
        def call(x: Tensor) -> Tensor:
            seen.append(x.dtype)
            return softmax(axis)(x)

        return call

    monkeypatch.setattr(ops, "Softmax", watched)
    with runtime.eager():
        output = network(ops.ones((1, 1, 2, 2), FULL), Tensor([999.0], FULL))
    assert output.dtype == FULL
    assert seen == [FULL] * 3
    assert all(parameter.dtype == FULL for parameter in network.get_parameters())


def test_float16_is_available_everywhere() -> None:
    check_dtype("float16")


def test_what_the_device_refuses_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise TypeError("Unsupported data type!")

    monkeypatch.setattr(ms, "grad", refuse)
    with pytest.raises(ValueError, match=r"amp_dtype 'float16' is not available on device 'CPU'"):
        set_precision(tiny(), "O1", "float16")
    set_precision(tiny(), "O0", "float16")  # which nothing is computed in


def test_a_processor_without_bfloat16_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "why_no_bfloat16", lambda: "the processor has no instructions")
    message = r"'bfloat16' is not available on device 'CPU', the processor has no instructions: "
    with pytest.raises(ValueError, match=message + "choose another, or amp_level O0"):
        set_precision(tiny(), "O1", "bfloat16")
    set_precision(tiny(), "O0", "bfloat16")


needs_bfloat16 = pytest.mark.skipif(
    bool(kernels.why_no_bfloat16()), reason=f"no bfloat16: {kernels.why_no_bfloat16()}"
)


@needs_bfloat16
def test_a_cpu_multiplies_bfloat16_inside_compiled_operators_alone() -> None:
    network = tiny()
    set_precision(network, "O1", "bfloat16")
    cells = dict(network.cells_and_names())
    low = {name for name, cell in cells.items() if getattr(cell, "compute", FULL) != FULL}
    assert low == {name for name, cell in cells.items() if isinstance(cell, Factored)}
    assert {cells[name].result for name in low} == {FULL}
    with pytest.raises(ValueError, match=r"O2: only compiled operators multiply it: choose .* O1"):
        set_precision(network, "O2", "bfloat16")
    set_precision(network, "O0", "bfloat16")
    assert all(getattr(cell, "compute", FULL) == FULL for cell in cells.values())


@needs_bfloat16
def test_a_convolution_asks_for_the_operator_of_its_factors() -> None:
    x, weight = Tensor([[[[1.0 + 2**-9]]]], FULL), Tensor([[[[3.0]]]], FULL)
    layer = Convolution(1, 1)
    assert layer(x, weight, None).asnumpy().item() == 3.0 + 3 * 2**-9
    layer.compute = ms.bfloat16
    assert layer(x, weight, None).asnumpy().item() == 3.0


def test_rounding_to_bfloat16_is_to_the_nearest_and_to_even() -> None:
    given = [1.0 + 2**-8, 1.0 + 3 * 2**-8, 1.0 + 2**-8 + 2**-20, -(2.0**-133), np.inf, -np.inf]
    expected = [1.0, 1.0 + 2**-6, 1.0 + 2**-7, -(2.0**-133), np.inf, -np.inf]
    rounded = to_bfloat16(np.array(given, np.float32))
    np.testing.assert_array_equal(rounded, np.array(expected, np.float32))
    assert np.isnan(to_bfloat16(np.array([np.nan], np.float32))).all()
