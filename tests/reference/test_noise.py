"""Offset noise, and noise that is assigned to images."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from ddpm_mindspore.reference.noise import assigned, with_offset

RNG = np.random.default_rng(0)


def test_an_offset_moves_a_channel_as_one() -> None:
    noise = RNG.standard_normal((20_000, 2, 2, 3)).astype(np.float32)
    offset = RNG.standard_normal((20_000, 2, 1, 1)).astype(np.float32)
    moved = with_offset(noise, offset, 0.5)
    assert moved.dtype == np.float32
    np.testing.assert_allclose(moved - noise, np.broadcast_to(0.5 * offset, noise.shape), atol=1e-6)
    flat = moved.reshape(len(moved), -1)
    covariance = np.eye(12) + 0.25 * np.kron(np.eye(2), np.ones((6, 6)))
    np.testing.assert_allclose(np.cov(flat, rowvar=False), covariance, atol=0.05)


def test_the_sum_of_squared_distances_is_the_least_of_all() -> None:
    for _ in range(5):
        x_0, noise = RNG.standard_normal((2, 5, 1, 2, 2)).astype(np.float32)
        order = assigned(x_0, noise)
        best = min(np.sum((x_0 - noise[list(p)]) ** 2) for p in permutations(range(5)))
        np.testing.assert_allclose(np.sum((x_0 - order) ** 2), best, rtol=1e-5)
        np.testing.assert_array_equal(np.sort(order.ravel()), np.sort(noise.ravel()))


def test_equal_images_and_rounding_change_nothing() -> None:
    """Costs that are equal stay so whatever the order of a sum was."""
    x_0 = np.repeat(RNG.uniform(-1.0, 1.0, (1, 3, 8, 8)), 4, axis=0)
    noise = RNG.standard_normal((4, 3, 8, 8))
    order = assigned(x_0, noise)
    for size in (1e-12, 1e-9):
        np.testing.assert_array_equal(assigned(x_0 * (1.0 + size), noise), order)


def test_an_image_of_nan_takes_what_the_others_leave() -> None:
    x_0, noise = RNG.standard_normal((2, 3, 2))
    x_0[1] = np.nan
    order = assigned(x_0, noise)
    np.testing.assert_array_equal(np.sort(order.ravel()), np.sort(noise.ravel()))
    np.testing.assert_array_equal(order, assigned(np.nan_to_num(x_0), noise))
