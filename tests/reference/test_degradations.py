"""Degradations against what they say in words, and their inverses against the four conditions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from ddpm_mindspore.reference.degradations import (
    LUMA,
    Degradation,
    along,
    blurred,
    degradation,
    downsampled,
    grey,
    masked,
    noisy,
)
from ddpm_mindspore.reference.oracle import conditional

SHAPE = (3, 4, 6)
MASK = (np.arange(24).reshape(4, 6) % 3 > 0).astype(float)
ALL = [noisy(SHAPE), blurred(SHAPE, 0.8), downsampled(SHAPE, 2), grey(SHAPE), masked(MASK, SHAPE)]
every_one = pytest.mark.parametrize("of", ALL, ids=lambda of: of.name)


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((2, *SHAPE))


def test_each_does_what_it_says(x: np.ndarray) -> None:
    np.testing.assert_allclose(noisy(SHAPE)(x), x, atol=1e-14)
    np.testing.assert_allclose(masked(MASK, SHAPE)(x), MASK * x, atol=1e-14)
    blocks = x.reshape(2, 3, 2, 2, 3, 2).mean((3, 5))
    np.testing.assert_allclose(downsampled(SHAPE, 2)(x), blocks, atol=1e-14)
    luma = np.tensordot(LUMA, x, (0, 1))[:, None]
    np.testing.assert_allclose(grey(SHAPE)(x), luma, atol=1e-14)
    soft = gaussian_filter1d(gaussian_filter1d(x, 0.8, 2, truncate=5), 0.8, 3, truncate=5)
    np.testing.assert_allclose(blurred(SHAPE, 0.8)(x), soft, atol=1e-3)
    wide = blurred(SHAPE, 9.0)(np.ones((1, *SHAPE)))  # wider than the picture
    np.testing.assert_allclose(wide, 1.0, atol=1e-12)


@every_one
def test_grey_levels_stay_what_they_are(of: Degradation) -> None:
    """Rows sum to 1, so that pixels and [-1, 1] are degraded alike."""
    if of.name != "mask":
        np.testing.assert_allclose(of(np.full((1, *SHAPE), 0.7)), 0.7, atol=1e-12)


@every_one
def test_the_pseudo_inverse_is_one_and_the_transpose_too(of: Degradation, x: np.ndarray) -> None:
    y = np.random.default_rng(1).standard_normal((2, *of.measured))
    inner = float(np.sum(of(x) * y))
    assert float(np.sum(x * of.transpose(y))) == pytest.approx(inner, rel=1e-12)
    matrix, inverse = of.matrix, np.linalg.pinv(of.matrix, rcond=0.03)
    found = of.pseudo_inverse(y).reshape(2, -1)
    np.testing.assert_allclose(found, y.reshape(2, -1) @ inverse.T, atol=1e-10)
    np.testing.assert_allclose(of(x).reshape(2, -1), x.reshape(2, -1) @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(along(of.right, of.directions(x)), x, atol=1e-12)


def test_what_is_nearly_lost_counts_as_lost() -> None:
    of = blurred((1, 16, 16), 2.0)
    assert of.known.sum() < 60
    assert of.inverse.max() < 1 / (0.03 * 0.999)


def test_float32_stays_float32(x: np.ndarray) -> None:
    single = x.astype(np.float32)
    for of in ALL:
        y = of(single)
        assert y.dtype == of.transpose(y).dtype == of.pseudo_inverse(y).dtype == np.float32


def test_a_text_means_one() -> None:
    for text in ("noise", "blur:0.8", "downsample:2", "grey"):
        assert degradation(text, SHAPE).name == text


@pytest.mark.parametrize(
    ("text", "shape", "told"),
    [
        ("sharpen", SHAPE, "choose noise, blur:WIDTH, downsample:FACTOR or grey"),
        ("blur", SHAPE, "'blur' is written blur:WIDTH"),
        ("grey:2", SHAPE, "'grey:2' is written grey"),
        ("blur:wide", SHAPE, "is written blur:WIDTH, a number"),
        ("blur:0", SHAPE, "blur 0 must be a positive number of pixels"),
        ("blur:nan", SHAPE, "blur nan must be a positive number of pixels"),
        ("downsample:2.5", SHAPE, "is written downsample:FACTOR, a number"),
        ("downsample:1", SHAPE, "downsample 1 must be at least 2"),
        ("downsample:3", SHAPE, "downsample 3 does not divide 4 x 6"),
        ("grey", (1, 4, 4), "these have 1 channels"),
    ],
)
def test_a_text_that_means_none_is_refused(text: str, shape: tuple[int, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        degradation(text, shape)


def test_wrong_shapes_and_masks_are_refused(x: np.ndarray) -> None:
    of = downsampled(SHAPE, 2)
    with pytest.raises(ValueError, match=r"x has shape \(2, 3, 4, 5\): it must be"):
        of(x[..., :5])
    with pytest.raises(ValueError, match=r"y has shape \(2, 3, 4, 6\): it must be \('B', 3, 2, 3"):
        of.pseudo_inverse(x)
    with pytest.raises(ValueError, match=r"zeros .* and ones"):
        masked(np.full(SHAPE, 0.5), SHAPE)
    with pytest.raises(ValueError, match=r"mask has shape \(5, 6\): give it the images' own"):
        masked(np.ones((5, 6)), SHAPE)


def test_the_conditional_distribution_is_regression() -> None:
    """Draws of x and y: the mean of x near one y, and what is left around it."""
    rng = np.random.default_rng(2)
    mean, cov = np.array([1.0, -0.5]), np.array([[1.0, 0.6], [0.6, 0.8]])
    matrix, y = np.array([[1.0, 0.5]]), np.array([1.2])
    x = rng.multivariate_normal(mean, cov, 2_000_000)
    seen = x @ matrix[0] + 0.5 * rng.standard_normal(len(x))
    near = x[np.abs(seen - y[0]) < 0.01]
    found_mean, found_cov = conditional(mean, cov, matrix, y, 0.5)
    np.testing.assert_allclose(near.mean(0), found_mean, atol=0.02)
    np.testing.assert_allclose(np.cov(near.T), found_cov, atol=0.02)
    exact, none = conditional(mean, cov, np.eye(2), np.array([0.3, 0.4]), 0.0)
    np.testing.assert_allclose(exact, [0.3, 0.4], atol=1e-12)
    np.testing.assert_allclose(none, 0.0, atol=1e-12)
