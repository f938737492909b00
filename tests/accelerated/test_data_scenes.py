"""Digit scenes: what they show is what is said of them, and what is held out never comes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ddpm_mindspore.accelerated.data import load_digits, open_images, read_items
from ddpm_mindspore.accelerated.data.sayings import NUMERALS, WAYS, Facts, facts_of, sayings
from ddpm_mindspore.accelerated.data.scenes import (
    COUNT,
    HELD_OUT,
    RGB,
    SHOWN,
    SceneImages,
    compose,
    place_of,
    scene,
)
from ddpm_mindspore.accelerated.randomness import Purpose, batch_indices, uniform
from ddpm_mindspore.accelerated.runs.images import as_source

RED_3_BLUE_8 = Facts(("left", "right"), (3, 8), ("red", "blue"))


def test_a_scene_is_a_function_of_seed_and_index() -> None:
    one, again = scene(5, seed=2), scene(5, seed=2)
    assert one.image.shape == (3, 16, 16) and one.image.dtype == np.uint8
    assert one[1:] == again[1:] and np.array_equal(one.image, again.image)
    others = [scene(index, seed=seed).facts for seed in (2, 3) for index in range(30)]
    assert len(set(others)) > 50
    assert facts_of(one.caption) == one.facts


def test_the_numbers_of_the_first_scene_never_change() -> None:
    first = scene(0)
    assert first.caption == "下面写着蓝色的数字0，上面写着绿色的数字8。"
    assert int(first.image.sum()) == 18236


def test_a_scene_shows_two_real_digits_in_their_colours() -> None:
    inks = load_digits()[[3, 8], 0]
    (image,) = compose([RED_3_BLUE_8], inks[None])
    for place, ink, colour in (("left", inks[0], "red"), ("right", inks[1], "blue")):
        shown = place_of(image, place)
        assert np.array_equal(shown, np.rint(np.array(RGB[colour])[:, None, None] / 255.0 * ink))
    assert image.sum() == place_of(image, "left").sum() + place_of(image, "right").sum()
    (image,) = compose([RED_3_BLUE_8._replace(places=("above", "below"))], inks[None])
    assert np.array_equal(image[0, :8, 4:12], inks[0]) and not image[:, :, [0, 3, 12, 15]].any()


def test_held_out_pairs_never_come_and_all_else_does() -> None:
    """Every digit is left out twice in each place, so that what is shown has all equally often."""
    assert len(HELD_OUT) == 20 and len(SHOWN) == 80
    for place in (0, 1):
        assert set(Counter(pair[place] for pair in SHOWN).values()) == {8}
    assert all((b, a) in HELD_OUT for a, b in HELD_OUT)
    images = SceneImages()
    seen = [facts_of(text) for text in images.items(np.arange(4000)).captions or ()]
    assert {facts.digits for facts in seen if facts} == set(SHOWN)
    colours = Counter(facts.colours for facts in seen if facts)
    assert len(colours) == 16 and min(colours.values()) > 180
    assert 1900 < sum(facts.places == ("left", "right") for facts in seen if facts) < 2100


def test_a_scene_is_told_in_every_way_order_and_numeral() -> None:
    said = sayings(RED_3_BLUE_8)
    assert len(said) == len(set(said)) == len(WAYS) * 4 >= 24
    assert said[0] == "左边是红色的三，右边是蓝色的八"
    assert {"右边是蓝色的8，左边是红色的3", "左红三，右蓝八", "蓝色的八在红色的三的右边"} <= set(
        said
    )
    for a in range(10):
        for places in (("left", "right"), ("above", "below")):
            facts = Facts(places, (a, (a + 3) % 10), ("yellow", "green"))
            for text in sayings(facts):
                assert facts_of(text) == facts
                assert any(sign[a] in text for sign in NUMERALS)


@pytest.mark.parametrize(
    "text",
    ["左：红 3；右：蓝 8", "红色的三的右边是蓝色的八", "一个红色的三在左边。一个蓝色的八在右边。"],
)
def test_other_sentences_are_understood(text: str) -> None:
    assert facts_of(text) == RED_3_BLUE_8


@pytest.mark.parametrize(
    "text",
    [
        "",
        "猫",
        "左边是红色的三",
        "左红三，左蓝八",
        "左红三，下蓝八",
        "左红三蓝，右八",
        "左三，右八",
    ],
)
def test_what_says_less_is_not_understood(text: str) -> None:
    assert facts_of(text) is None


def test_scenes_open_by_name_with_one_caption_a_showing() -> None:
    images = open_images("scenes", (16, 16), 3)
    assert (len(images), images.shape, images.captioned) == (COUNT, (3, 16, 16), True)
    items = read_items(images, 7, 30, 20)
    places = batch_indices(7, COUNT, 30, 20)
    numbers = uniform(7, Purpose.CAPTION, 0, range(30, 50), 1)[:, 0]
    expected = [images.captions(p)[int(28 * u)] for p, u in zip(places, numbers, strict=True)]
    assert items.captions == expected and len(set(numbers * 28 // 1)) > 10
    for place, image in zip(places, items.x, strict=True):
        assert np.array_equal(image, scene(int(place)).image)
    assert items.part(slice(3, 5)).captions == expected[3:5]
    assert read_items(images, 7, 37, 3).captions == expected[7:10]


def test_scenes_in_another_size_and_in_grey() -> None:
    batch = open_images("scenes", (8, 24), 1).batch(np.arange(3))
    assert batch.shape == (3, 1, 8, 24) and batch.max() > 100


def test_scenes_have_no_classes_and_a_folder_of_that_name_is_still_a_folder() -> None:
    with pytest.raises(ValueError, match="only_class red needs images in one sub-folder"):
        open_images("scenes", (16, 16), 3, only_class=["red"])
    assert as_source(Path("scenes")) == "./scenes" and as_source("scenes") == "scenes"
