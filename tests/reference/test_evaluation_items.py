"""What neighbours, colours and labels say of drawn items: brute force, and planted faults."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ddpm_mindspore.reference.evaluation import classes, neighbours
from ddpm_mindspore.reference.evaluation.colour import channels, flags
from ddpm_mindspore.reference.evaluation.copies import copies
from ddpm_mindspore.reference.evaluation.features import Components, flat
from ddpm_mindspore.reference.evaluation.kernel_classifier import KernelClassifier
from ddpm_mindspore.reference.evaluation.neighbours import manifolds, nearest, radii
from ddpm_mindspore.reference.evaluation.retrieval import nearest_of_things, ranks
from ddpm_mindspore.reference.evaluation.shapes import orientations, shapes
from ddpm_mindspore.reference.evaluation.shares import share


def test_manifolds_are_those_of_the_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "ROWS", 7)
    rng, k = np.random.default_rng(0), 3
    drawn, real = rng.normal(size=(20, 2)), rng.normal(size=(33, 2)) + 0.7
    of_real = np.sort(cdist(real, real), 1)[:, k]
    of_drawn = np.sort(cdist(drawn, drawn), 1)[:, k]
    np.testing.assert_array_equal(radii(real, k), of_real)
    apart = cdist(real, drawn)
    found = manifolds(drawn, real, k=k, replicates=10)
    expected = (
        np.mean([any(apart[j, i] < of_real[j] for j in range(33)) for i in range(20)]),
        np.mean([any(apart[j, i] < of_drawn[i] for i in range(20)) for j in range(33)]),
        np.mean([sum(apart[j, i] < of_real[j] for j in range(33)) / k for i in range(20)]),
        np.mean([any(apart[j, i] < of_real[j] for i in range(20)) for j in range(33)]),
    )
    np.testing.assert_allclose([figure.value for figure in found], expected, rtol=1e-14)
    assert all(0.0 < figure.error < 0.5 for figure in found)


def test_one_drawn_item_over_and_over_is_precise_and_covers_nothing() -> None:
    real = np.random.default_rng(1).normal(size=(300, 2))
    drawn = np.zeros((300, 2)) + 1e-9 * np.random.default_rng(2).normal(size=(300, 2))
    found = manifolds(drawn, real, replicates=0)
    assert found.precision.value == pytest.approx(1.0, rel=1e-12)
    assert found.recall.value == 0.0
    assert found.coverage.value < 0.2


def test_too_few_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match=r"do not fit k 5"):
        manifolds(np.zeros((5, 2)), np.zeros((9, 2)))


def test_the_nearest_is_found_and_no_row_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "ROWS", 2)
    x = np.array([[0.0], [1.0], [5.0], [5.5], [9.0]])
    found = nearest(x, x, others=True)
    np.testing.assert_array_equal(found.which, [1, 0, 3, 2, 3])
    np.testing.assert_array_equal(found.distance, [1.0, 1.0, 0.5, 0.5, 3.5])
    np.testing.assert_array_equal(nearest(x, x).distance, 0.0)


def test_recited_items_are_found_and_unseen_ones_are_not() -> None:
    rng = np.random.default_rng(3)
    trained_on, held_out, fresh = rng.normal(size=(3, 400, 5))
    honest = copies(fresh, trained_on, held_out)
    assert honest.nearer is not None and honest.expected == 0.5
    assert abs(honest.nearer.value - 0.5) < 4 * honest.nearer.error
    assert honest.close.value == pytest.approx(0.01, abs=0.02)
    assert honest.median == pytest.approx(honest.median_real, rel=0.1)
    recited = fresh.copy()
    recited[:40] = trained_on[100:140] + 1e-3 * rng.normal(size=(40, 5))
    recited[7] = trained_on[107]
    found = copies(recited, trained_on, held_out)
    assert found.close.value > 0.1
    assert found.nearer is not None and found.nearer.value > 0.53
    assert set(found.closest(40)) == set(range(40))
    assert found.closest(1)[0] == 7
    np.testing.assert_array_equal(found.which[:40], range(100, 140))
    assert found.ratio is not None
    assert found.ratio[7] == 0.0 and found.ratio[:40].max() < 0.1 < np.median(found.ratio)
    assert copies(fresh, trained_on).ratio is None


def test_a_tint_and_a_lack_of_contrast_are_told_apart_from_sampling_error() -> None:
    rng = np.random.default_rng(4)
    # Whole images are bright or dark: their pixels are no independent witnesses.
    real, fresh = rng.normal(size=(2, 500, 3, 1, 1)) + 0.1 * rng.normal(size=(2, 500, 3, 4, 4))
    assert flags(channels(fresh, real)) == []
    cast, dull = fresh.copy(), fresh.copy()
    cast[:, 1] += 0.5
    dull[:, 2] *= 0.7
    (brighter,), (less,) = flags(channels(cast, real)), flags(channels(dull, real))
    assert brighter.startswith("channel 1 is brighter than the data by ")
    assert less.startswith("channel 2 has less contrast than the data by ")
    found = channels(fresh, real)[0]
    assert found.real.value == pytest.approx(real[:, 0].mean())
    assert found.real_deviation.value == pytest.approx(real[:, 0].std())
    assert found.real.error == pytest.approx(1 / np.sqrt(500), rel=0.15)
    # Of a normal distribution's deviation: sigma / sqrt(2 n).
    assert found.real_deviation.error == pytest.approx(1 / np.sqrt(1000), rel=0.2)


def test_a_constant_channel_is_no_cast() -> None:
    grey = np.full((5, 1, 2, 2), 7, np.uint8)
    assert flags(channels(grey, grey)) == []


def test_values_become_rows_from_zero_to_one() -> None:
    images = np.array([0, 51, 255, 255], np.uint8).reshape(2, 1, 1, 2)
    np.testing.assert_array_equal(flat(images), [[0.0, 0.2], [1.0, 1.0]])
    np.testing.assert_array_equal(flat(np.ones((2, 3, 1), np.float32)), np.ones((2, 3)))


@pytest.mark.parametrize("number", [9, 40])
def test_components_are_the_directions_of_most_variance(number: int) -> None:
    """With fewer items than values, and with more."""
    rng = np.random.default_rng(5)
    items = (rng.normal(size=(number, 12)) * np.arange(1, 13)).reshape(number, 3, 4)
    components = Components(items, 4)
    x = components(items)
    assert x.shape == (number, 4) == (number, components.count)
    values = np.linalg.eigvalsh(np.cov(items.reshape(number, -1), rowvar=False))[::-1]
    np.testing.assert_allclose(x.mean(0), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.cov(x, rowvar=False), np.diag(values[:4]), atol=1e-9 * values[0])


def test_components_of_flat_data_are_as_many_as_there_are() -> None:
    items = np.zeros((20, 6))
    items[:, 2] = np.arange(20)
    components = Components(items, 4)
    assert components.count == 1
    np.testing.assert_allclose(np.abs(components(items)[:, 0]), np.abs(np.arange(20) - 9.5))
    # All of them keep distances.
    some = np.random.default_rng(6).normal(size=(30, 5))
    np.testing.assert_allclose(cdist(*[Components(some)(some)] * 2), cdist(some, some))


def test_neighbours_judge_classes() -> None:
    rng = np.random.default_rng(7)
    labels = np.arange(150) % 3
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    real = centres[labels] + rng.normal(size=(150, 2))
    asked = np.array([0, 0, 1, 1, 2, 2])
    shown = np.array([0, 0, 1, 2, 2, 2])
    drawn = centres[shown] + 0.1 * rng.normal(size=(6, 2))
    found = classes.balance(drawn, real, labels, asked)
    np.testing.assert_array_equal(found.counts, [2, 1, 3])
    np.testing.assert_array_equal(found.real_counts, [50, 50, 50])
    assert found.agreement is not None and found.agreement.value == pytest.approx(5 / 6)
    np.testing.assert_array_equal(found.of_each, [1.0, 0.5, 1.0])
    assert found.judge == 1.0 and found.sure == 1.0
    assert classes.balance(drawn, real, labels).agreement is None
    # No row is its own neighbour.
    lonely = np.array([1, *[0] * 20])
    assert classes.vote(np.eye(21), np.eye(21), lonely, own=True).found[0] == 0


def test_a_judge_needs_more_items_than_neighbours() -> None:
    with pytest.raises(ValueError, match="10 labelled items are too few"):
        classes.balance(np.zeros((2, 1)), np.zeros((10, 1)), np.zeros(10, int))


def test_intervals_are_wilsons() -> None:
    found = share([True] * 9 + [False])
    assert (found.value, found.of) == (0.9, 10)
    assert (round(found.low, 4), round(found.high, 4)) == (0.5958, 0.9821)
    assert share([True] * 10).high == 1.0 and share([False] * 10).low == 0.0
    with pytest.raises(ValueError, match="right is empty"):
        share([])


def test_a_kernel_classifier_is_the_solution_of_its_equations() -> None:
    rng = np.random.default_rng(5)
    x, labels = rng.normal(size=(12, 3)), np.arange(12) % 3
    found = KernelClassifier(x, labels, gamma=0.5, ridge=0.2)
    kernel = np.exp(-0.5 * cdist(x, x, "sqeuclidean"))
    weights = np.linalg.solve(kernel + 0.2 * np.eye(12), 2.0 * np.eye(3)[labels] - 1.0)
    y = rng.normal(size=(50, 3))
    scores = np.exp(-0.5 * cdist(y, x, "sqeuclidean")) @ weights
    np.testing.assert_array_equal(found(y), scores.argmax(1))
    # Two rings, which no plane parts.
    angle, radius = 2 * np.pi * rng.uniform(size=400), np.repeat([1.0, 2.0], 200)
    rings = radius[:, None] * np.stack((np.cos(angle), np.sin(angle)), 1)
    of = (radius > 1.5).astype(int)
    reads = KernelClassifier(rings[::2], of[::2], gamma=2.0)
    assert (reads(rings[1::2]) == of[1::2]).mean() > 0.98
    for wrong in ({"gamma": 0.0}, {"gamma": 1.0, "ridge": -1.0}):
        with pytest.raises(ValueError, match="must be more than 0"):
            KernelClassifier(x, labels, **wrong)
    with pytest.raises(ValueError, match="of as many rows"):
        KernelClassifier(x, labels[1:], gamma=1.0)


def test_the_nearest_of_a_things_pictures_counts_and_any_of_several_things_will_do() -> None:
    known = np.array([[[0.0], [10.0], [20.0]], [[5.0], [11.0], [40.0]]])  # two pictures each
    distances = nearest_of_things(np.array([[5.5], [39.0]]), known)
    np.testing.assert_allclose(distances, [[0.5, 4.5, 14.5], [34.0, 28.0, 1.0]], atol=1e-6)
    assert ranks(distances, [{0}, {0}]).tolist() == [0, 2]
    assert ranks(distances, [{1}, {0, 1}]).tolist() == [1, 1]


def test_edges_have_orientations_and_no_colours() -> None:
    ramp = np.tile(np.arange(8) / 8.0, (8, 1))
    upright, lying = (np.stack([x] * 3)[None] for x in (ramp, ramp.T))
    for image, at in ((upright, 0.0), (lying, 4.5)):
        found = orientations(image).reshape(9, 2, 2)
        low, part = int(at), at - int(at)
        shares = found[:, 0, 0] / found[:, 0, 0].sum()
        np.testing.assert_allclose([shares[low], shares[low + 1]], [1 - part, part], atol=1e-6)
    other = upright * np.array([1.0, 0.2, 0.0])[:, None, None]
    np.testing.assert_allclose(orientations(other), orientations(upright), atol=1e-12)
    assert np.abs(shapes(other) - shapes(upright)).max() > 0.1
    assert np.abs(orientations(np.full((1, 3, 8, 8), 0.7))).max() == 0.0
