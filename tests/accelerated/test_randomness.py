from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ddpm_mindspore.accelerated.randomness import (
    Purpose,
    batch_indices,
    coins,
    keep_masks,
    normal,
    permutation,
    stream,
    times,
    uniform,
)

words = st.integers(0, 2**64 - 1)
purposes = st.sampled_from(Purpose)


def test_key_and_counter_layout_never_change():
    """A change here would change the numbers of every run that somebody wants to resume."""
    assert [(p.name, p.value) for p in Purpose] == [
        ("INIT", 0),
        ("SHUFFLE", 1),
        ("TIME", 2),
        ("NOISE", 3),
        ("FLIP", 4),
        ("SELF_CONDITION", 5),
        ("DROPOUT", 6),
        ("SAMPLE_START", 7),
        ("SAMPLE_NOISE", 8),
        ("CROP", 9),
        ("REPLACE", 10),
        ("CLASS", 11),
        ("CAPTION", 14),
        ("UNTOLD", 15),
        ("SCENE", 16),
        ("REAL_TIME", 17),
        ("OFFSET", 18),
        ("LATENT", 19),
    ]
    key, counter = np.array([11, 3], np.uint64), np.array([0, 7, 5, 0], np.uint64)
    plain = np.random.Philox(key=key, counter=counter)
    drawn = stream(11, Purpose.NOISE, step=5, index=7).bit_generator
    assert np.array_equal(plain.random_raw(9), drawn.random_raw(9))


@given(seed=words, purpose=purposes, step=words, index=words)
def test_a_row_of_uniform_is_its_own_stream(seed, purpose, step, index):
    batch = uniform(seed, purpose, step, [0, index, 5], 3)
    assert batch.shape == (3, 3) and batch.dtype == np.float64
    assert np.array_equal(batch[1], stream(seed, purpose, step, index).random(3))
    assert uniform(seed, purpose, step, [], 3).shape == (0, 3)


@given(seed=words, purpose=purposes, step=words, index=words)
def test_a_row_of_normal_is_its_own_stream(seed, purpose, step, index):
    alone = stream(seed, purpose, step, index).standard_normal((2, 3), dtype=np.float32)
    batch = normal(seed, purpose, step, [0, index, 5], (2, 3))
    assert batch.dtype == np.float32
    assert np.array_equal(batch[1], alone)


@pytest.mark.parametrize("other", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)])
def test_streams_do_not_overlap(other):
    """Neighbours in any argument share no 64-bit number, however far each one is read."""
    seed, purpose, step, index = other
    first = stream(0, Purpose(0)).bit_generator.random_raw(20_000)
    second = stream(seed, Purpose(purpose), step, index).bit_generator.random_raw(20_000)
    assert not set(first.tolist()) & set(second.tolist())


def test_normal_is_standard_normal_and_uncorrelated():
    draws = normal(3, Purpose.NOISE, 9, range(400), (500,)).astype(np.float64)
    assert stats.kstest(draws.ravel(), "norm").pvalue > 1e-3
    correlation = np.corrcoef(draws)[np.triu_indices(400, 1)]
    assert abs(correlation).max() < 6 / np.sqrt(500)


def test_times_are_uniform_on_1_to_T():
    t = times(0, 4, np.arange(20_000), 10)
    assert t.dtype == np.int32
    counts = np.bincount(t, minlength=11)
    assert counts[0] == 0 and len(counts) == 11
    assert stats.chisquare(counts[1:]).pvalue > 1e-3
    assert times(0, 4, [6, 2], 1).tolist() == [1, 1]
    assert times(0, 4, [17], 10)[0] == t[17]
    assert not np.array_equal(times(0, 5, np.arange(100), 10), t[:100])


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_coins_land_true_with_probability_p(p):
    tossed = coins(0, Purpose.FLIP, 0, range(10_000), p)
    assert tossed.dtype == np.bool_
    assert abs(tossed.mean() - p) <= 4 * np.sqrt(p * (1 - p) / 10_000)
    assert coins(0, Purpose.FLIP, 0, [8_123], p)[0] == tossed[8_123]


@pytest.mark.parametrize("p", [0.0, 0.1, 1.0])
def test_masks_drop_with_probability_p(p):
    masks = keep_masks(5, 2, [3, 4], (100, 100), p)
    assert masks.shape == (2, 100, 100) and masks.dtype == np.bool_
    assert abs(masks.mean() - (1 - p)) <= 4 * np.sqrt(p * (1 - p) / masks.size)
    assert np.array_equal(keep_masks(5, 2, [4], (100, 100), p)[0], masks[1])


def test_each_layer_has_its_own_masks():
    first, second = (keep_masks(5, 2, [3], (100, 100), 0.5, layer=layer) for layer in (0, 1))
    assert abs((first == second).mean() - 0.5) < 0.03


def test_epochs_are_permutations_of_their_own():
    orders = [permutation(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)]
    for order in orders:
        assert sorted(order) == list(range(50))
    assert len({tuple(order) for order in orders}) == 4
    with pytest.raises(ValueError, match="read-only"):
        orders[0][0] = 1


@given(seed=words, n=st.integers(1, 7), sizes=st.lists(st.integers(0, 20), max_size=6))
def test_batches_join_to_the_stream_of_epochs(seed, n, sizes):
    parts, start = [], 0
    for size in sizes:
        parts.append(batch_indices(seed, n, start, size))
        start += size
    epochs = [permutation(seed, epoch, n) for epoch in range(start // n + 1)]
    joined = np.concatenate([np.empty(0, np.int64), *parts])
    assert np.array_equal(joined, np.concatenate(epochs)[:start])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stream(-1, Purpose.NOISE), r"seed -1 is outside 0 \.\. 2\*\*64 - 1"),
        (lambda: stream(2**64, Purpose.NOISE), "seed 18446744073709551616 is outside"),
        (lambda: stream(1.5, Purpose.NOISE), "seed 1.5 is not an integer"),
        (lambda: stream(0, Purpose.NOISE, step=-2), "step -2 is outside"),
        (lambda: normal(0, Purpose.NOISE, 0, [3, -1], (2,)), "index -1 is outside"),
        (lambda: stream(0, 999), "999 is not a valid Purpose"),
        (lambda: times(0, 0, [0], 0), "T is 0"),
        (lambda: coins(0, Purpose.FLIP, 0, [0], 1.5), "p is 1.5"),
        (lambda: keep_masks(0, 0, [0], (2,), float("nan")), "p is nan"),
        (lambda: permutation(0, 0, 0), "n is 0"),
        (lambda: batch_indices(0, 0, 0, 1), "n is 0"),
        (lambda: batch_indices(0, 5, -1, 1), "start -1"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
