"""Pictures with Chinese names: what ships, what is said of it, and what training never shows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ddpm_mindspore.accelerated.data import open_images, pictures, read_items
from ddpm_mindspore.accelerated.data.pictures import (
    BACKGROUNDS,
    GROUPS,
    STYLES,
    WAYS,
    PictureImages,
    Shown,
    captions,
    concepts,
    held_out,
    picture,
)

FOLDER = Path(pictures.__file__).parent


def numbered(name: str) -> int:
    """The number of the thing of that name."""
    (number,) = [n for n, concept in enumerate(concepts()) if concept.name == name]
    return number


def test_what_ships_is_small_and_its_licences_are_beside_it() -> None:
    assert (FOLDER / "pictures.npz.xz").stat().st_size < 1.6e6
    told = (FOLDER / "pictures-LICENSE.md").read_text(encoding="utf-8")
    for name in ("emoji-datasource-google", "@lobehub/fluent-emoji-3d", "cldr-annotations-full"):
        assert name in told
    assert "Microsoft Corporation" in told
    assert "Apache License" in (FOLDER / "pictures-LICENSE-Apache-2.0.txt").read_text()
    assert "UNICODE LICENSE V3" in (FOLDER / "pictures-LICENSE-Unicode-3.0.txt").read_text("utf-8")


def test_each_thing_has_a_name_of_its_own_and_keywords_that_tell() -> None:
    things = concepts()
    assert len(things) == len({thing.name for thing in things}) == 451
    assert Counter(thing.group for thing in things) == {"animals": 157, "food": 128, "smileys": 166}
    cat = things[numbered("猫")]
    assert (cat.code, cat.group) == ("1f408", "animals")
    words = Counter(word for thing in things for word in thing.keywords)
    assert max(words.values()) <= 4 and not set(words) & {thing.name for thing in things}
    assert all(sign >= "\u4e00" for thing in things for sign in thing.name)


def test_pictures_fill_their_square_and_have_no_seams() -> None:
    """Over two backgrounds what is opaque is the same, and the edges are the background's."""
    for style in STYLES:
        white, black = (
            np.stack([picture(n, style, ground) for n in range(len(concepts()))]).astype(int)
            for ground in ("white", "black")
        )
        assert white.shape == (451, 3, 32, 32)
        assert (white[:, :, [0, -1]] == 255).all() and (white[..., [0, -1]] == 255).all()
        alpha = 1 - (white - black)[:, 0] / 215.0
        assert alpha.min() > -0.01 and alpha.max() < 1.01
        reach = [np.flatnonzero((alpha > 0.1).any(axis)) for axis in ((0, 1), (0, 2))]
        assert all(found.min() == 1 and found.max() == 30 for found in reach)
        sides = (alpha > 0.1).any(1).sum(1), (alpha > 0.1).any(2).sum(1)
        assert np.maximum(*sides).min() >= 26
        # A seam: lighter over black than both the picture and the ground, or darker over white.
        assert (white - black >= -1).all()


def test_backgrounds_are_what_is_seen_in_the_corners() -> None:
    for ground, (_, color) in BACKGROUNDS.items():
        shown = picture(numbered("老虎"), "flat", ground)
        assert shown[:, [0, 0, -1, -1], [0, -1, 0, -1]].T.tolist() == [list(color)] * 4


def test_captions_say_style_thing_and_background_in_every_way() -> None:
    cat = numbered("猫")
    said = captions(Shown(cat, "solid", "white"))
    assert said[0] == "立体风格的猫，白色背景" and "画一个立体风格的猫，白色的背景" in said
    named = sum("猫" in text for text in said)
    words = concepts()[cat].keywords
    assert len(said) == 2 * len(words) * len(WAYS) and named >= len(said) // 2
    assert all("立体" in text and "白色" in text for text in said)


def test_held_out_pairs_are_balanced_and_their_things_are_shown_in_the_other_style() -> None:
    held = held_out()
    assert len(held) == 89 and len({number for number, _ in held}) == 89
    counts = Counter((concepts()[number].group, style) for number, style in held)
    assert set(counts) == {(group, style) for group in GROUPS for style in STYLES}
    for group in GROUPS:
        size = sum(thing.group == group for thing in concepts())
        assert all(abs(counts[group, style] - size / 10) < 1 for style in STYLES)
    shown = {one[:2] for one in PictureImages()._shown}
    assert not shown & held and len(shown) == 2 * 451 - 89
    assert {number for number, _ in shown} == set(range(451))


def test_pictures_open_by_name_with_classes_and_captions() -> None:
    images = open_images("pictures", (32, 32), 3)
    assert (len(images), images.shape) == (813 * 6, (3, 32, 32))
    assert images.captioned and tuple(images.classes) == GROUPS
    items = read_items(images, 0, 0, 40)
    assert items.captions is not None and len(set(items.captions)) > 30
    assert items.labels is not None and set(items.labels.tolist()) == {0, 1, 2}
    for number in (0, 7, 4000):
        one = images.items(np.array([number]))
        assert one.captions == [images.captions(number)[0]]
    food = open_images("pictures", (32, 32), 3, only_class=["food"])
    assert len(food) == (2 * 128 - 25) * 6 and food.labels is not None
    assert set(food.labels.tolist()) == {0}
    small = open_images("pictures", (8, 12), 1, only_class=["food"]).batch(np.arange(2))
    assert small.shape == (2, 1, 8, 12)
    with pytest.raises(ValueError, match="only_class 'cats' is no class of data: choose from anim"):
        open_images("pictures", (32, 32), 3, only_class=["cats"])
