"""The judge of prompts is judged: real scenes it reads, and cheats that it must see through."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated.data.digits import digit_labels
from ddpm_mindspore.accelerated.data.sayings import facts_of, saying

SCRIPT = Path(__file__).with_name("obedience.py")


@pytest.fixture(scope="module")
def judge() -> ModuleType:
    spec = importlib.util.spec_from_file_location("obedience", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["obedience"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def real(judge: ModuleType) -> tuple[Any, list[str], Any]:
    """Scenes of a fifth of the digits in any order, with captions, and who has seen the others."""
    order = np.random.default_rng(1).permutation(len(digit_labels()))
    images, told = judge.real_scenes(600, order[::5])
    mixed = np.random.default_rng(2).permutation(600)
    captions = [saying(told[i], int(i) % 28) for i in mixed]
    return images[mixed], captions, judge.Reader(np.setdiff1d(order, order[::5]))


def test_real_scenes_of_digits_not_seen_before_are_read(judge: ModuleType, real: Any) -> None:
    images, captions, reader = real
    result = judge.obedience(images, captions, reader)
    for part, count in (("all", 600), ("seen pairs", 480), ("held-out pairs", 120)):
        shares = result[part]
        assert shares["digits"].share > 0.97 and shares["digits"].of == 2 * count
        assert shares["colours"].share == shares["layouts"].share == 1.0
        assert shares["scenes"].share > 0.94


def test_captions_of_other_scenes_agree_by_chance(judge: ModuleType, real: Any) -> None:
    result = judge.obedience(*real)
    for control in ("rotated captions", "shuffled captions"):
        for what, chance in (("digits", 0.1), ("colours", 0.25), ("layouts", 0.5)):
            found = result[control][what]
            assert found.low - 0.03 < chance < found.high + 0.03, (control, what, found)
        assert result[control]["scenes"].share < 0.02


def test_pictures_that_stand_one_place_further_are_found_out(judge: ModuleType, real: Any) -> None:
    images, captions, reader = real
    turned = judge.obedience(np.roll(images, 1, 0), captions, reader)["all"]
    assert turned["digits"].share < 0.2 and turned["colours"].share < 0.4


def test_a_digit_in_the_other_place_is_not_obedient(judge: ModuleType, real: Any) -> None:
    """Left and right, or above and below, changed over: only equal digits and colours agree."""
    images, captions, reader = real
    swapped = images.copy()
    for image, changed, caption in zip(images, swapped, captions, strict=True):
        facts = facts_of(caption)
        first, second = (judge.place_of(image, place) for place in facts.places)
        judge.place_of(changed, facts.places[0])[...] = second
        judge.place_of(changed, facts.places[1])[...] = first
    shares = judge.obedience(swapped, captions, reader)["all"]
    assert shares["digits"].share < 0.2 and shares["layouts"].share == 1.0


def test_noise_on_a_picture_is_read_all_the_same(judge: ModuleType, real: Any) -> None:
    images, captions, reader = real
    noise = np.random.default_rng(0).normal(0, 20, images.shape)
    noisy = np.clip(images + noise, 0, 255).astype(np.uint8)
    shares = judge.obedience(noisy, captions, reader)["all"]
    assert shares["digits"].share > 0.95 and shares["colours"].share > 0.99


def test_captions_that_say_nothing_are_refused(judge: ModuleType, real: Any) -> None:
    with pytest.raises(ValueError, match="caption '猫' says nothing of two coloured digits"):
        judge.obedience(real[0][:1], ["猫"], real[2])


def test_intervals_are_wilsons(judge: ModuleType) -> None:
    found = judge.share([True] * 9 + [False])
    assert found.share == 0.9 and found.of == 10
    assert (round(found.low, 4), round(found.high, 4)) == (0.5958, 0.9821)
    assert judge.share([True] * 10).high == pytest.approx(1.0)


def test_all_pairs_are_asked_for_equally_often(judge: ModuleType) -> None:
    asked = [facts_of(sentence) for sentence in judge.sentences(200)]
    pairs = [facts.digits for facts in asked if facts is not None]
    assert len(pairs) == 200 and {pairs.count(pair) for pair in pairs} == {2}
    assert judge.sentences(3) == judge.sentences(200)[:3]
