"""The network's parameters: names, shapes, where they start, and moving them in and out."""

from __future__ import annotations

import math
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from numpy.typing import NDArray

from ddpm_mindspore.accelerated import Unet
from ddpm_mindspore.reference.config import UnetConfig
from ddpm_mindspore.reference.networks.unet import param_shapes

SMALL: dict[str, Any] = {"dim": 8, "dim_mults": (1, 2), "attn_heads": 2, "attn_dim_head": 4}
CONFIGURATIONS: list[dict[str, Any]] = [
    {"dim": 8},
    {**SMALL, "channels": 1},
    {**SMALL, "init_dim": 6, "out_dim": 5, "channels": 2, "dim_mults": (1, 3, 2)},
    {**SMALL, "self_condition": True, "learned_variance": True},
    {**SMALL, "learned_sinusoidal_cond": True, "learned_sinusoidal_dim": 6},
    {**SMALL, "random_fourier_features": True, "dropout": 0.2},
    {**SMALL, "full_attn": (True, False), "attn_heads": (1, 3), "attn_dim_head": (8, 2)},
    {**SMALL, "dim_mults": (1,), "full_attn": False},
]


@pytest.fixture(scope="module")
def net() -> Unet:
    return Unet(**SMALL, seed=3)


@pytest.mark.parametrize("options", CONFIGURATIONS, ids=lambda o: "-".join(map(str, o)))
def test_names_and_shapes_are_those_of_the_reference(options: dict[str, Any]) -> None:
    net, config = Unet(**options), UnetConfig(**options)
    assert net.config == config
    assert {p.name: tuple(p.shape) for p in net.get_parameters()} == param_shapes(config)
    fixed = {p.name for p in net.get_parameters()} - {p.name for p in net.trainable_params()}
    assert fixed == ({"time_mlp.0.weights"} if config.random_fourier_features else set())


@pytest.mark.parametrize("options", CONFIGURATIONS[:3])
def test_dropout_masks_have_the_shapes_of_the_reference(options: dict[str, Any]) -> None:
    config = UnetConfig(**options)
    for size in ((8, 8), (16, 24)):
        assert Unet(**options).dropout_shapes(size) == config.dropout_shapes(size)


def test_the_initial_parameters_are_a_function_of_the_seed(net: Unet) -> None:
    first, again, other = net.arrays(), Unet(**SMALL, seed=3).arrays(), Unet(**SMALL, seed=4)
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name], err_msg=name)
    random = {name for name, array in first.items() if array.std() > 0}
    assert random == {name for name in first if not name.endswith(".g")}
    for name in random:
        assert not np.array_equal(first[name], other.arrays()[name]), name


def test_the_initial_parameters_are_distributed_as_in_the_peer(net: Unet) -> None:
    """Uniform within 1 / sqrt(fan in), for biases too; memory keys N(0, 1); gains 1."""
    net = Unet(dim=32, dim_mults=(1, 2))
    arrays = net.arrays()
    for name, array in arrays.items():
        if name.endswith(".g"):
            assert np.all(array == 1), name
        elif name.endswith("mem_kv"):
            assert 0.9 < array.std() < 1.1 and abs(array.mean()) < 0.1, name
        else:
            weight = arrays[name.removesuffix("bias") + "weight"] if "bias" in name else array
            bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
            largest = float(np.abs(array).max())
            assert largest <= bound, name
            if array.size > 100:
                assert largest > 0.9 * bound and abs(array.mean()) < 0.2 * bound, name


def test_arrays_are_copies_and_load_brings_them_back(net: Unet) -> None:
    before = net.arrays()
    changed = {name: array + np.float32(1) for name, array in before.items()}
    net.load_arrays(changed)
    for name, array in net.arrays().items():
        np.testing.assert_array_equal(array, changed[name])
        assert not np.array_equal(before[name], changed[name])
    net.load_arrays(before)


def test_a_graph_that_has_run_sees_what_is_loaded_later() -> None:
    net = Unet(**SMALL, seed=3)

    def bias(x: Tensor) -> Tensor:
        return x * net.final_conv.bias

    compiled = ms.jit(bias)
    x = Tensor(np.ones(3, np.float32))
    for seed in (3, 4, 5):
        arrays = Unet(**SMALL, seed=seed).arrays()
        net.load_arrays(arrays)
        np.testing.assert_array_equal(compiled(x).asnumpy(), arrays["final_conv.bias"])


def test_weights_of_another_network_are_refused_and_change_nothing(net: Unet) -> None:
    before = net.arrays()

    def refused(arrays: dict[str, NDArray[np.float32]], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            net.load_arrays({name: array + np.float32(1) for name, array in arrays.items()})
        np.testing.assert_array_equal(net.init_conv.weight.asnumpy(), before["init_conv.weight"])

    fewer = {name: array for name, array in before.items() if name != "mid_attn.norm.g"}
    refused(fewer, r"parameter 'mid_attn\.norm\.g' is in only one .* \(1 such\)")
    refused({**before, "extra": np.zeros(1, np.float32)}, "parameter 'extra' is in only one")
    wrong = {**before, "final_conv.bias": np.zeros(4, np.float32)}
    refused(wrong, r"'final_conv\.bias' has shape \(3,\) in the network and \(4,\) in the weights")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 7}, "dim 7 must be even"),
        ({"dim": 8, "dim_mults": ()}, r"dim_mults \(\) must hold positive"),
        ({"dim": 8, "dropout": 1.0}, "dropout 1.0 is a probability"),
        ({"dim": 8, "attn_heads": (1, 2)}, r"attn_heads \(1, 2\) has 2 entries"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Unet(**options)
