"""The model that comes with the package: what is in its folder, and that it paints what is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.presets import PICTURES, SCENES
from ddpm_mindspore.accelerated.config import RunConfig
from ddpm_mindspore.accelerated.data import read_spread
from ddpm_mindspore.accelerated.data.pictures import PictureImages, concepts
from ddpm_mindspore.accelerated.obedience.pictures import Pictures
from ddpm_mindspore.accelerated.obedience.scenes import Scenes, sentences
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.weights.shipped import (
    SHIPPED,
    WEIGHTS,
    open_shipped,
    painter_of,
    place_of,
)

SCENE, PICTURE = SHIPPED
LICENCES = {SCENE: ("CC BY 4.0", "Apache-2.0"), PICTURE: ("MIT", "Apache-2.0", "Unicode-3.0")}


@pytest.mark.parametrize("name", SHIPPED, ids=str)
def test_they_are_small_and_say_what_they_were_made_from(name: Path) -> None:
    files = {path.name: path for path in SHIPPED[name].iterdir()}
    assert files.keys() == {"config.json", "vocabulary.txt", WEIGHTS, "LICENSE.md"}
    assert sum(path.stat().st_size for path in files.values()) < 10e6
    told = files["LICENSE.md"].read_text(encoding="utf-8")
    assert all(licence in told for licence in LICENCES[name])


@pytest.mark.parametrize(("name", "preset"), [(SCENE, SCENES), (PICTURE, PICTURES)])
def test_they_are_what_training_makes(name: Path, preset: RunConfig) -> None:
    config = place_of(name).config.read()
    network = replace(preset.network, vocabulary=config.network.vocabulary)  # type: ignore[attr-defined,call-arg]
    assert (config.network, config.diffusion) == (network, preset.diffusion)
    assert (config.data, config.sides) == (preset.data, preset.sides)
    trained = ("train_num_steps", "train_batch_size", "train_lr", "lr_schedule", "warmup_steps")
    for option in (*trained, "ema_decay"):
        assert getattr(config.trainer, option) == getattr(preset.trainer, option), option


def test_scenes_are_painted_as_told() -> None:
    """Of 50 sentences, ten of pairs that were never shown; 400: tests/benchmarks/painter.py."""
    asked, diffusion = sentences(400, seed=5)[::8], open_shipped(SHIPPED[SCENE]).diffusion
    drawn = to_uint8(diffusion.sample(len(asked), condition=asked, seed=2))
    judge = Scenes()
    found = judge.shares(drawn, asked)
    assert found["digits"].value > 0.85 and found["colours"].value > 0.9
    assert found["layouts"].value == 1.0
    rotated = judge.shares(drawn, np.roll(asked, 1).tolist())
    assert rotated["digits"].value < 0.3 and rotated["scenes"].value < 0.1


@pytest.mark.nightly
def test_pictures_are_painted_as_told() -> None:
    """Of 60 captions; 400 of each kind: tests/benchmarks/painter_pictures.py."""
    diffusion, judge = open_shipped(SHIPPED[PICTURE]).diffusion, Pictures()
    asked = read_spread(PictureImages(), 60).captions
    assert asked is not None
    drawn = to_uint8(diffusion.sample(len(asked), condition=asked, seed=2))
    found = judge.shares(drawn, asked)
    assert found["first_5"].value > 0.5 and found["thing"].value > 0.4
    assert found["style"].value > 0.8 and found["background"].value > 0.95
    rotated = judge.shares(drawn, np.roll(asked, 1).tolist())
    assert rotated["first_5"].value < 0.1 and rotated["background"].value < 0.4


@pytest.mark.parametrize(
    ("texts", "name"),
    [
        (["左边是红色的三，右边是蓝色的八"], SCENE),
        (["左边是红色的三，右边是紫色的八"], SCENE),  # one piece more than it knows
        (["上面是黄色的5"], SCENE),
        (["红色"], SCENE),  # both know it
        (["一只猫"], PICTURE),
        (["立体风格的大熊猫，蓝色背景", "左边是红色的三"], PICTURE),
        (["噘"], SCENE),  # neither does
    ],
)
def test_the_model_is_that_which_knows_the_words(texts: list[str], name: Path) -> None:
    assert painter_of(texts) == name


def test_every_thing_that_has_a_name_is_a_picture() -> None:
    assert {painter_of([concept.name]) for concept in concepts()} == {PICTURE}


def test_it_paints_without_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["左边是红色的三，右边是紫色的八", "--num-samples", "2", "--sampling-timesteps", "3"]
    assert main(["paint", *words]) == 0
    said = capsys.readouterr()
    assert "the model has never met 紫: it will ignore that (it knows " in said.err
    assert np.load(tmp_path / "painted" / "samples.npy").shape == (2, 3, 16, 16)
    drawn = json.loads((tmp_path / "painted" / "drawn.json").read_text(encoding="utf-8"))
    assert drawn["texts"] == ["左边是红色的三，右边是紫色的八"]
    assert drawn["run"] == str(SHIPPED[SCENE])  # where it is, and not where it would be as a run


@pytest.mark.slow
def test_what_a_model_of_the_package_painted_is_painted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--num-samples", "2", "--sampling-timesteps", "2", "--seed", "3"]
    assert main(["paint", "立体风格的熊猫，蓝色背景", *words]) == 0
    assert "painter-pictures, weights of step" in capsys.readouterr().out
    picture = tmp_path / "painted" / "00001.png"
    assert main(["sample", str(PICTURE), "--like", str(picture)]) == 0
    assert (tmp_path / "repeated" / "00001.png").read_bytes() == picture.read_bytes()
    assert main(["sample", str(SCENE), "--like", str(picture)]) == 2
    assert "name the run that has drawn it" in capsys.readouterr().err
    assert main(["sample", str(PICTURE)]) == 2
    assert "say what to draw (ddpm-mindspore paint TEXT --run painter" in capsys.readouterr().err


def test_options_of_a_run_of_ones_own_are_none_of_theirs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["paint", "猫"], ["paint", "猫", "--run", str(PICTURE)], ["demo", str(SCENE)]):
        assert main([*words, "--step", "3"]) == 2
        assert "step and ema are of a run of your own: name it" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_of_the_package_changes_pictures_and_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a run does, but for its folder, into which nobody writes."""
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in SHIPPED[SCENE].iterdir())
    Image.new("RGB", (16, 16), "red").save("scene.png")
    few = ["--sampling-timesteps", "3"]
    words = ["scene.png", "--prompt", "左边是红色的三，右边是蓝色的八", "--num-samples", "1", *few]
    assert main(["edit", str(SCENE), *words]) == 0
    assert (tmp_path / "edit" / "00000.png").exists()
    assert main(["evaluate", str(SCENE), "--num-samples", "40", *few]) == 0
    found = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["obedience"]["rows"]["seen"]["layouts"]["of"] == 40
    assert sorted(path.name for path in SHIPPED[SCENE].iterdir()) == before
