from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn import datasets

from ddpm_mindspore.accelerated.data import digit_labels, load_digits, open_images, read_batch
from ddpm_mindspore.accelerated.randomness import batch_indices


def test_digits_are_those_of_scikit_learn():
    truth = datasets.load_digits()
    digits = load_digits()
    assert digits.shape == (1797, 1, 8, 8) and digits.dtype == np.uint8
    levels = np.rint(digits[:, 0] * 16.0 / 255)
    assert np.array_equal(levels, truth.images)
    assert abs(digits[:, 0] - truth.images * 255 / 16).max() <= 0.5
    assert np.array_equal(digit_labels(), truth.target)


def test_digits_open_by_name_without_change():
    images = open_images("digits", (8, 8), 1)
    assert len(images) == 1797 and images.shape == (1, 8, 8) and images.skipped == []
    assert np.array_equal(images.batch(np.arange(1797)), load_digits())


def test_digits_in_colour_and_enlarged():
    images = open_images("digits", (16, 24), 3)
    batch = images.batch(np.array([5, 1]))
    assert batch.shape == (2, 3, 16, 24)
    assert np.array_equal(batch[:, 0], batch[:, 2])
    # Enlarged to 24 x 24 and cut at top and bottom: rows 1.33 to 6.67 of the digit remain.
    inner = load_digits()[[5, 1], 0, 2:6].mean(axis=(1, 2))
    assert abs(batch[:, 0, 2:14].mean(axis=(1, 2)) - inner).max() < 3


def test_digits_have_classes():
    images = open_images("digits", (8, 8), 1)
    assert list(images.classes) == list("0123456789")
    assert np.array_equal(images.labels, digit_labels())
    some = open_images("digits", (8, 8), 1, only_class=["7", "3"])
    truth = digit_labels()
    assert list(some.classes) == ["3", "7"]
    assert np.array_equal(np.array([3, 7])[some.labels], truth[np.isin(truth, [3, 7])])
    assert np.array_equal(some.batch(np.arange(len(some))), load_digits()[np.isin(truth, [3, 7])])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("digits", "only_class '10' is no class of data: choose from 0, 1, 2"),
        (np.zeros((2, 1, 8, 8)), "only_class 10 needs images in one sub-folder for each class"),
    ],
)
def test_classes_that_do_not_exist_are_refused(source, message):
    with pytest.raises(ValueError, match=message):
        open_images(source, (8, 8), 1, only_class=["10"])


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_arrays_are_taken_as_they_are(dtype):
    array = np.random.default_rng(0).random((5, 2, 4, 6))
    array = (array * 255).astype(dtype) if dtype == np.uint8 else array.astype(dtype)
    images = open_images(array, (4, 6), 2)
    batch = images.batch(np.array([3, 0, 3]))
    assert batch.dtype == (np.uint8 if dtype == np.uint8 else np.float32)
    assert np.array_equal(batch, array[[3, 0, 3]].astype(batch.dtype))
    assert (len(images), images.shape, images.sequential) == (5, (2, 4, 6), False)


def test_uint8_arrays_are_not_copied():
    array = np.zeros((2, 1, 4, 4), np.uint8)
    images = open_images(array, (4, 4), 1)
    array[1] = 7
    assert images.batch(np.array([1])).min() == 7


def test_arrays_with_unusual_channels():
    assert open_images(np.zeros((2, 7, 4, 4), np.uint8), (4, 4), 7).shape == (7, 4, 4)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 4, 4, 1), np.uint8), r"shape \(2, 4, 4, 1\): .* \(N, 1, 4, 4\)"),
        (np.zeros((4, 4), np.uint8), r"shape \(4, 4\)"),
        (np.zeros((0, 1, 4, 4), np.uint8), "at least 1 image"),
        (np.zeros((2, 1, 4, 4), np.int64), "type int64: give uint8, or floats"),
        (np.full((2, 1, 4, 4), 255.0), r"values from 255.0 to 255.0: give floats in \[0, 1\]"),
        (np.full((2, 1, 4, 4), -0.5), "values from -0.5 to -0.5"),
        (np.full((2, 1, 4, 4), np.nan), "values from nan to nan"),
    ],
)
def test_bad_arrays_are_refused(array, message):
    with pytest.raises(ValueError, match=message):
        open_images(array, (4, 4), 1)


@pytest.mark.parametrize(
    ("source", "size", "channels", "message"),
    [
        ([1, 2], (8, 8), 1, "of type list: give a folder"),
        (None, (8, 8), 1, "of type NoneType"),
        ("digits", (0, 8), 1, r"image_size \(0, 8\)"),
        ("digits", (8, 8), 0, "channels 0"),
        ("digits", (8, 8), 5, "channels is 5"),
    ],
)
def test_bad_sources_are_refused(source, size, channels, message):
    with pytest.raises(ValueError, match=message):
        open_images(source, size, channels)


def test_read_batch_follows_the_shuffled_epochs():
    images = open_images("digits", (8, 8), 1)
    batch = read_batch(images, 7, 1790, 20)
    assert np.array_equal(batch, load_digits()[batch_indices(7, 1797, 1790, 20)])


def test_nothing_here_loads_mindspore():
    """Reading data must not cost the seconds that MindSpore takes to load."""
    code = (
        "import sys; from ddpm_mindspore.accelerated.data import open_images; "
        "open_images('digits', (8, 8), 1); print('mindspore' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
