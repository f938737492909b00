"""The judges of prompts are judged: real pictures they read, and cheats they must see through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated import open_run
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.data import Images, open_images, read_spread
from ddpm_mindspore.accelerated.data.digits import digit_labels
from ddpm_mindspore.accelerated.data.pictures import Shown, captions, concepts, held_out, pictures
from ddpm_mindspore.accelerated.data.sayings import saying
from ddpm_mindspore.accelerated.data.scenes import HELD_OUT, place_of
from ddpm_mindspore.accelerated.obedience.judge import judge_of, judged, reduced
from ddpm_mindspore.accelerated.obedience.pictures import Pictures, asked_of
from ddpm_mindspore.accelerated.obedience.scenes import (
    Reader,
    Scenes,
    real_scenes,
    sentences,
    told_of,
)
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.trainer import batches


@pytest.fixture(scope="module")
def scenes() -> tuple[Any, list[str], Scenes]:
    """Scenes of a fifth of the digits in any order, with captions, and who has seen the others."""
    order = np.random.default_rng(1).permutation(len(digit_labels()))
    images, told = real_scenes(600, order[::5])
    mixed = np.random.default_rng(2).permutation(600)
    said = [saying(told[i], int(i) % 28) for i in mixed]
    return images[mixed], said, Scenes(Reader(np.setdiff1d(order, order[::5])))


def test_real_scenes_of_digits_not_seen_before_are_read(scenes: Any) -> None:
    images, said, judge = scenes
    found = judge.shares(images, said)
    assert found["digits"].value > 0.98 and found["digits"].of == 1200
    assert found["colours"].value == found["layouts"].value == 1.0
    assert found["scenes"].value > 0.96 and found["scenes"].of == 600
    assert judge.of_real()["real"]["digits"].value > 0.98


def test_captions_of_other_scenes_agree_by_chance(scenes: Any) -> None:
    images, said, judge = scenes
    whole = np.concatenate((images, images[:100]))
    found = judged(judge, whole, [*said, *[""] * 100], 500, 100)
    for control in ("other_captions", "no_caption"):
        for what, chance in found["chance"].items():
            share = found["rows"][control][what]
            assert share["low"] - 0.03 < chance < share["high"] + 0.03, (control, what, share)
    assert found["rows"]["seen"]["digits"]["value"] > 0.98


def test_pictures_that_stand_one_place_further_are_found_out(scenes: Any) -> None:
    images, said, judge = scenes
    turned = judge.shares(np.roll(images, 1, 0), said)
    assert turned["digits"].value < 0.2 and turned["colours"].value < 0.4


def test_a_digit_in_the_other_place_is_not_obedient(scenes: Any) -> None:
    """Left and right, or above and below, changed over: only equal digits and colours agree."""
    images, said, judge = scenes
    swapped = images.copy()
    for image, changed, caption in zip(images, swapped, said, strict=True):
        facts = told_of(caption)
        first, second = (place_of(image, place) for place in facts.places)
        place_of(changed, facts.places[0])[...] = second
        place_of(changed, facts.places[1])[...] = first
    found = judge.shares(swapped, said)
    assert found["digits"].value < 0.2 and found["layouts"].value == 1.0


def test_noise_on_a_scene_is_read_all_the_same(scenes: Any) -> None:
    images, said, judge = scenes
    noise = np.random.default_rng(0).normal(0, 20, images.shape)
    found = judge.shares(np.clip(images + noise, 0, 255).astype(np.uint8), said)
    assert found["digits"].value > 0.95 and found["colours"].value > 0.99


def test_captions_that_say_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="caption '猫' says nothing of two coloured digits"):
        told_of("猫")
    with pytest.raises(ValueError, match="caption '猫' says nothing of a thing, its style and"):
        asked_of("猫")


def test_all_pairs_are_asked_for_equally_often() -> None:
    pairs = [told_of(sentence).digits for sentence in sentences(200)]
    assert {pairs.count(pair) for pair in pairs} == {2} and len(set(pairs)) == 100
    assert sentences(3) == sentences(200)[:3]
    unseen = [told_of(sentence).digits for sentence in Scenes().never_shown(40)]
    assert {unseen.count(pair) for pair in HELD_OUT} == {2}


def test_what_is_said_of_pictures_is_understood() -> None:
    for shown in (Shown(0, "flat", "black"), Shown(300, "solid", "pink")):
        for caption in captions(shown):
            asked = asked_of(caption)
            assert shown.concept in asked.things and asked[1:] == shown[1:]
        named = captions(shown)[0]
        assert concepts()[shown.concept].name in named and len(asked_of(named).things) == 1
    for caption in (unseen := Pictures().never_shown(91)):
        asked = asked_of(caption)
        assert any((thing, asked.style) in held_out() for thing in asked.things)
    assert len({asked_of(caption).background for caption in unseen}) == 6


def test_real_pictures_are_found_and_others_are_not() -> None:
    images = open_images("pictures", (32, 32), 3)
    judge, items = judge_of(images), read_spread(images, 120)
    assert isinstance(judge, Pictures) and items.captions is not None
    there = np.flatnonzero([asked_of(c).background in ("white", "black") for c in items.captions])
    x, said = items.x[there], [items.captions[i] for i in there]
    noisy = x + np.random.default_rng(0).normal(0, 12, x.shape)
    found = judge.shares(np.clip(noisy, 0, 255).astype(np.uint8), said)
    assert found["thing"].value > 0.9 and found["first_5"].value > 0.95
    assert found["style"].value > 0.85 and found["background"].value == 1.0
    turned = judge.shares(np.roll(x, 7, 0), said)
    assert turned["thing"].value < 0.05 and turned["first_5"].value < 0.1
    # What is held out is a real picture too, which the judge knows.
    thing, style = sorted(held_out())[0]
    real = pictures([shown := Shown(thing, style, "white")])
    assert judge.shares(real, captions(shown)[:1])["thing"].value == 1.0


def test_images_of_another_size_are_reduced_or_left_to_others() -> None:
    def shaped(name: str, side: int, channels: int = 3) -> Images:
        return open_images(name, (side, side), channels)

    assert isinstance(judge_of(shaped("scenes", 32)), Scenes)
    assert judge_of(shaped("scenes", 24)) is None and judge_of(shaped("scenes", 16, 1)) is None
    assert judge_of(shaped("digits", 16, 3)) is None
    small = read_spread(shaped("scenes", 16), 3).x
    np.testing.assert_array_equal(reduced(small.repeat(2, 2).repeat(2, 3), 16), small)


SMALL = """
--data scenes --steps 450 --batch-size 32 --lr 3e-3 --warmup-steps 50 --save-every 450
--dim 8 --dim-mults 1 2 --attention False --groups 4 --heads 2
--context-dim 32 --text-layers 1 --text-heads 2 --num-samples 1 --sampling-timesteps 2
"""


@pytest.mark.nightly
@pytest.mark.parametrize("rotated", [False, True], ids=["as they are", "rotated by one"])
def test_captions_that_are_rotated_in_the_batch_teach_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rotated: bool
) -> None:
    """So small a network learns in a minute how digits are laid out; told of others it does not."""
    said_of = batches.said_of

    def of_another(model: Any, items: Any) -> Any:
        first, *others = said_of(model, items)
        return [*others, first]

    if rotated:
        monkeypatch.setattr(batches, "said_of", of_another)
    assert main(["train", *SMALL.split(), "--results-folder", str(tmp_path)]) == 0
    asked = np.random.default_rng(0).permutation(sentences(200)).tolist()
    options = {"condition": asked, "cond_scale": 2.0, "sampling_timesteps": 10, "seed": 1}
    drawn = open_run(tmp_path).diffusion.sample(100, num_samples=200, **options)
    judge = Scenes()
    found = judge.shares(to_uint8(drawn), asked)
    if not rotated:
        assert found["layouts"].low > 0.9
        return
    assert found["layouts"].high < 0.65
    for what, chance in judge.by_chance(asked).items():
        assert found[what].low - 0.03 < chance < found[what].high + 0.03, (what, found[what])
