"""What tells purple from other colours is tried on scenes that are made of real digits."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.data.sayings import SAYINGS
from ddpm_mindspore.accelerated.data.scenes import RGB
from ddpm_mindspore.accelerated.obedience.scenes import Reader


@pytest.fixture(scope="module")
def lora() -> ModuleType:
    path = Path(__file__).with_name("lora.py")
    spec = importlib.util.spec_from_file_location("lora", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["lora"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_sentences_say_purple_once_where_the_other_colour_is_not(lora: ModuleType) -> None:
    told = lora.FIVE[0]
    texts = {lora.said(told, number) for number in range(SAYINGS)}
    assert len(texts) == SAYINGS
    assert all(text.count("紫") == text.count("绿") == 1 for text in texts)
    asked = lora.with_purple(400)
    assert all(text.count("紫") == 1 for text in asked.texts)
    five = [facts.digits for facts in lora.FIVE]
    assert not [facts for facts in asked.told if facts.digits in five]
    assert len({facts.digits for facts in asked.told}) == 95
    assert {facts.colours.index("purple") for facts in asked.told} == {0, 1}


def test_real_scenes_are_read_and_those_of_another_colour_are_not(lora: ModuleType) -> None:
    rng = np.random.default_rng(0)
    reader = Reader(colours=RGB | lora.PURPLE)
    told = lora.with_purple(100).told
    images = np.stack([lora.scene(facts, rng) for facts in told])
    found = lora.shares(reader.read(images, told), told)
    assert found["digits"] > 0.99
    assert found["layouts"] == found["purple"] == found["other colours"] == 1.0
    assert found["purple unasked"] == 0.0
    blue = [
        f._replace(colours=tuple("blue" if c == "purple" else c for c in f.colours)) for f in told
    ]
    other = np.stack([lora.scene(facts, rng) for facts in blue])
    assert lora.shares(reader.read(other, told), told)["purple"] == 0.0


def test_five_pictures_are_written_and_what_is_said_of_them(
    lora: ModuleType, tmp_path: Path
) -> None:
    lora.write_five(tmp_path, ["左边是红色的三"])
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"{i}.png" for i in range(5)]
    with Image.open(tmp_path / "0.png") as picture:
        assert picture.size == (16, 16) and picture.mode == "RGB"
    lines = (tmp_path / "texts.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 5 * SAYINGS and all("紫" in line for line in lines[1:])
