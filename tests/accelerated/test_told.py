"""Classes by number and by name, from who asks for them to what the network is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mindspore import Tensor

from ddpm_mindspore.accelerated import GaussianDiffusion, Unet
from ddpm_mindspore.accelerated.data.classes import numbers_of
from ddpm_mindspore.accelerated.data.told import told
from ddpm_mindspore.accelerated.networks.table import build_network
from ddpm_mindspore.reference.config import MlpConfig, Unet1DConfig
from ddpm_mindspore.reference.networks.table import network

NAMES = ("ape", "bee", "cat")


@pytest.mark.parametrize(
    ("asked", "names", "expected"),
    [
        (2, (), 2),
        ("2", (), 2),
        (np.uint8(1), NAMES, 1),
        ("bee", NAMES, 1),
        ("1", NAMES, 1),
        (["cat", "ape"], NAMES, [2, 0]),
        ([0, 2, 2], NAMES, [0, 2, 2]),
        (["cat", "1"], NAMES, [2, 1]),
        ("10", ("1", "10", "2"), 1),
    ],
)
def test_a_class_is_found_by_number_and_by_name(asked: Any, names: Any, expected: Any) -> None:
    found = numbers_of(asked, 3, names)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("asked", "names", "message"),
    [
        (3, (), "classes 3 is no class: choose from 0 to 2"),
        (-1, NAMES, "classes -1 is no class: choose from ape, bee, cat"),
        ("dog", NAMES, "classes 'dog' is no class: choose from ape, bee, cat"),
        ("3", NAMES, "classes '3' is no class"),
        ("99999999999999999999", (), "classes '99999999999999999999' is no"),
        ("0", ("1", "10", "2"), "classes '0' is no class: choose from 1, 10, 2"),
        ([0, 1.5], NAMES, r"classes \[0, 1.5\] must be whole numbers: choose from ape"),
        (True, (), "classes True must be whole numbers"),
        ([], (), r"classes \[\] must be whole numbers"),
        (None, (), "classes 'None' is no class"),
    ],
)
def test_what_is_no_class_is_refused_with_the_classes(asked: Any, names: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        numbers_of(asked, 3, names)


@pytest.fixture(scope="module")
def diffusion() -> GaussianDiffusion:
    network = Unet(4, dim_mults=(1,), channels=1, num_classes=3, cond_drop_prob=0.25)
    return GaussianDiffusion(network, image_size=2, timesteps=3, seed=5)


def test_one_class_is_that_of_all(diffusion: GaussianDiffusion) -> None:
    for classes, condition in ((1, None), ([1] * 4, None), (None, np.ones(4, np.int64))):
        known = told(diffusion, classes, condition, 4)
        assert known is not None and known.dtype == np.int32 and known.tolist() == [1] * 4
    diffusion.class_names = NAMES
    known = told(diffusion, "bee", None, 4)
    diffusion.class_names = ()
    assert known is not None and known.tolist() == [1] * 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "classes are missing: say which of the 3 each image is of"),
        ({"classes": 3}, "classes 3 is no class: choose from 0 to 2"),
        ({"condition": [0, 3]}, "condition 3 is no class: choose from 0 to 2"),
        ({"classes": [0, 1, 2]}, r"classes of shape \(3,\) must be one, or \(2,\)"),
        ({"classes": 1, "condition": [1, 1]}, "classes and condition are two names of one thing"),
    ],
)
def test_classes_that_do_not_fit_are_refused(
    diffusion: GaussianDiffusion, arguments: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        diffusion.sample(2, **arguments)
    with pytest.raises(ValueError, match=message):
        diffusion(np.zeros((2, 1, 2, 2), np.uint8), **arguments)


def test_a_network_without_classes_takes_none() -> None:
    without = GaussianDiffusion(Unet(4, dim_mults=(1,), channels=1), image_size=2, timesteps=3)
    with pytest.raises(ValueError, match="is for a network that takes one"):
        without.sample(2, classes=[0, 1])


def test_a_share_of_the_classes_is_not_told(diffusion: GaussianDiffusion) -> None:
    x_0 = np.zeros((2000, 1, 2, 2), np.float32)
    labels = np.arange(2000) % 3
    batch = diffusion.micro_batch(x_0, 1, range(2000), 0, labels)
    assert batch.condition is not None
    untold = batch.condition == 3
    assert 0.2 < untold.mean() < 0.3
    np.testing.assert_array_equal(batch.condition[~untold], labels[~untold])
    parts = diffusion.micro_batch(x_0[:7], 1, range(100, 107), 0, labels[100:107])
    np.testing.assert_array_equal(parts.condition, batch.condition[100:107])  # type: ignore[arg-type]
    other = diffusion.micro_batch(x_0, 2, range(2000), 0, labels)
    assert np.any((other.condition == 3) != untold)


def test_a_class_changes_what_is_drawn(diffusion: GaussianDiffusion) -> None:
    one, other, again = (diffusion.sample(2, classes=c, seed=1) for c in (0, [0, 2], 0))
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one[0], other[0])
    assert np.abs(one[1] - other[1]).max() > 1e-6


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (Unet1DConfig(dim=4, dim_mults=(1,), channels=2, attn_heads=1, num_classes=2), (2, 4)),
        (MlpConfig(dim=8, depth=2, channels=5, num_classes=2), (5,)),
    ],
    ids=["sequences", "vectors"],
)
def test_networks_over_sequences_and_vectors_are_told_as_the_reference_is(
    config: Any, shape: tuple[int, ...]
) -> None:
    model = build_network(config)
    rng = np.random.default_rng(0)
    x, time = rng.standard_normal((3, *shape)), np.array([1.0, 30.0, 400.0])
    labels = np.array([2, 0, 1], np.int32)
    exact = {name: value.astype(np.float64) for name, value in model.arrays().items()}
    expected = network(exact, config, x, time, None, None, labels)
    given = (Tensor(x.astype(np.float32)), Tensor(time.astype(np.float32)))
    actual = model(*given, None, None, Tensor(labels)).asnumpy()
    np.testing.assert_allclose(actual, expected, atol=1e-5)
    other = network(exact, config, x, time, None, None, labels[::-1])
    assert np.abs(other - expected).max() > 1e-3
