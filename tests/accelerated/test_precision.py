"""Which parts of a network are in half precision, and what the device can do of it."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import pytest
from mindspore import Tensor, ops

from ddpm_mindspore.accelerated import precision
from ddpm_mindspore.accelerated.networks.unet import Unet
from ddpm_mindspore.accelerated.precision import check_dtype, set_precision
from ddpm_mindspore.accelerated.system import runtime

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
    with pytest.raises(ValueError, match=r"amp_dtype 'bfloat16' is not available on device 'CPU'"):
        set_precision(tiny(), "O1", "bfloat16")
    set_precision(tiny(), "O0", "bfloat16")  # which nothing is computed in
