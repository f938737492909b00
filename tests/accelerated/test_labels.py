"""Classes from the data to the command line: trained with, asked for, refused, told in files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.labels import Labels
from ddpm_mindspore.accelerated.commands.options import SampleConfig
from ddpm_mindspore.accelerated.config import DIGITS, RunConfig
from ddpm_mindspore.accelerated.data import class_names, open_images
from ddpm_mindspore.accelerated.networks.unet import Unet
from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
from ddpm_mindspore.accelerated.runs.drawing import Drawing
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.images import check_classes

NAMES = ("ape", "bee", "cat")
NETWORK = replace(
    DIGITS.network, dim=4, dim_mults=(1,), attn_heads=1, attn_dim_head=4, num_classes=3
)
CONFIG = replace(DIGITS, network=NETWORK, diffusion=replace(DIGITS.diffusion, timesteps=60))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two grey images for each class."""
    for name in NAMES:
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(2):
            Image.fromarray(np.full((8, 8), 9 * i, np.uint8)).save(
                tmp_path / "data" / name / f"{i}.png"
            )
    return tmp_path / "data"


def make_run(folder: Path, config: RunConfig = CONFIG, names: Sequence[str] = NAMES) -> RunFolder:
    """A run of which only a checkpoint of step 5 was made."""
    run = RunFolder(folder)
    folder.mkdir()
    run.config.write(config, 1, {"count": 6, "path": None, "classes": list(names)})
    arrays = Unet(**config.network.to_dict()).arrays()
    save(folder, Checkpoint(5, {"ema": arrays, "model": arrays}, {}))
    return run


def test_classes_are_counted_without_opening_an_image(folders: Path, tmp_path: Path) -> None:
    (folders / "bee" / "1.png").write_bytes(b"broken")
    assert class_names(str(folders)) == NAMES
    assert class_names(str(folders), ("cat", "ape")) == ("ape", "cat")
    assert class_names("digits") == tuple("0123456789")
    assert class_names("digits", ("3", "8")) == ("3", "8")
    (folders / "loose.png").write_bytes((folders / "ape" / "0.png").read_bytes())
    (tmp_path / "empty").mkdir()
    for data in (folders, tmp_path / "empty", tmp_path / "empty" / "file"):
        with pytest.raises(ValueError, match=r"has no classes|does not exist"):
            class_names(str(data))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train --conditional --num-classes 3", "data has 10 classes (0, 1, 2, 3, 4, 5, 6, 7, 8,"),
        ("train --conditional --data flat", "data has no classes: conditional needs a folder"),
        ("train --cond-drop-prob 2", "cond_drop_prob 2.0 is a probability: from 0 to 1"),
        ("sample run --label dog", "label 'dog' is no class: choose from ape, bee, cat"),
        ("sample run --label ape 3", "label '3' is no class: choose from ape, bee, cat"),
        ("sample run --guidance -1", "guidance -1.0 must not be negative"),
        ("sample run --guidance-interval 3 1", "guidance_interval (3.0, 1.0) must rise from 0"),
        ("sample run --guidance-rescale 2", "guidance_rescale 2.0 must be from 0 to 1"),
        ("sample run --guidance-rescale 0.7", "guidance_rescale 0.7 changes nothing without guid"),
        ("sample run --guidance 1 --guidance-norm 3", "guidance_norm 3.0 changes nothing without"),
        ("sample run --autoguidance 5", "autoguidance 5 changes nothing without guidance: add --g"),
        ("sample run --guidance 2 --autoguidance 7", "has no checkpoint of step 7: it has 5"),
        ("sample plain --label 7", "label '7' is for a run with classes, which this one was not"),
        ("sample plain --guidance 2", "guidance 2.0 needs a run with classes"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_one_line(
    words: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flat").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "flat" / "a.png")
    make_run(tmp_path / "run")
    make_run(tmp_path / "plain", replace(CONFIG, network=replace(NETWORK, num_classes=None)), ())
    assert main(words.split()) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert len([line for line in said if line.startswith("ddpm-mindspore: ")]) == 1
    assert not (tmp_path / "run" / "drawn" / "drawn.json").exists()


def test_a_class_is_drawn_as_asked_and_all_in_turn(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")

    def labels(**options: Any) -> Labels:
        return Labels(SampleConfig(run.path, **options), run)

    everything = labels()
    assert everything.names == list(NAMES) and everything.number(None) == 63
    assert everything.number(5) == 5
    np.testing.assert_array_equal(everything.of(range(4, 9)), [1, 2, 0, 1, 2])  # type: ignore[arg-type]
    some = labels(label=("cat", "0"))
    assert some.names == ["cat", "ape"] and some.number(None) == 64
    np.testing.assert_array_equal(some.of(range(3)), [2, 0, 2])  # type: ignore[arg-type]
    many = replace(CONFIG, network=replace(NETWORK, num_classes=1000))
    of_many = Labels(SampleConfig(tmp_path), make_run(tmp_path / "many", many, ()))
    assert of_many.number(None) == 64 and of_many.names[999] == "999"
    plain = replace(CONFIG, network=replace(NETWORK, num_classes=None))
    none = Labels(SampleConfig(tmp_path), make_run(tmp_path / "none", plain, ()))
    assert none.of(range(3)) is None and none.number(None) == 64 and none.names == []


def test_files_tell_what_was_asked_for(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    words = "--label cat ape --guidance 2 --guidance-interval 0.1 9 --num-samples 6"
    assert main(["sample", str(run.path), *words.split(), "--sampling-timesteps", "2"]) == 0
    facts = json.loads((run.path / "drawn" / "drawn.json").read_text())
    assert facts["labels"] == ["cat", "ape"] and facts["autoguidance"] is None
    assert facts["guidance"] == {"guidance": 2.0, "guidance_interval": [0.1, 9.0]}
    for i, name in enumerate(("cat", "ape", "cat")):
        with Image.open(run.path / "drawn" / f"{i:05d}.png") as picture:
            picture.load()
            text: Any = picture.text  # type: ignore[attr-defined]
        assert (text["Label"], text["Guidance"]) == (name, "2")
        assert text["Guidance interval"] == "0.1 9"
    with Image.open(run.path / "drawn" / "grid.png") as page:
        drawn = np.load(run.path / "drawn" / "samples.npy")
        assert page.size == pictures.rows_of_classes(drawn, ["cat", "ape"]).size


def test_a_grid_has_a_row_a_class(tmp_path: Path) -> None:
    shades = np.array([50, 100, 150] * 2 + [50], np.uint8)
    images = np.broadcast_to(shades[:, None, None, None], (7, 1, 4, 4))
    page = np.asarray(pictures.rows_of_classes(images, NAMES, scale=1).convert("L"))
    rows = [page[4 + 8 * k : 8 + 8 * k] for k in range(3)]
    for row, shade, count in zip(rows, (50, 100, 150), (3, 2, 2), strict=True):
        right = row[:, -28:]  # three images and the gaps around them
        shown = [right[0, 4 + 8 * j] for j in range(3)]
        assert shown == [shade] * count + [255] * (3 - count)
        assert row[:, :-28].min() < 200  # its name
    with Drawing(tmp_path / "drawn", 7, NAMES) as drawing:
        drawing.add(images, {"versions": {"ddpm-mindspore": "0"}})
        drawing.close()
    with Image.open(tmp_path / "drawn" / "grid.png") as grid:
        assert grid.size == pictures.rows_of_classes(images, NAMES).size


def test_names_that_no_font_has_are_told_by_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_WIDE_FONTS", ("no-such-font.ttf",))
    images = np.zeros((4, 1, 4, 4), np.uint8)
    page, same, other = (
        pictures.rows_of_classes(images, names).tobytes()
        for names in (["小鸟", "大鱼"], ["1", "2"], ["a", "b"])
    )
    assert page == same != other


def test_data_has_the_classes_that_the_network_is_told_of(folders: Path, tmp_path: Path) -> None:
    images = open_images(folders, (8, 8), 1)
    run, trainer = RunFolder(tmp_path / "new"), DIGITS.trainer
    assert check_classes(images, NETWORK, run, trainer) == NAMES
    assert check_classes(images, replace(NETWORK, num_classes=None), run, trainer) == ()
    told = replace(trainer, conditional=True)
    with pytest.raises(ValueError, match="conditional True needs a network with classes"):
        check_classes(images, replace(NETWORK, num_classes=None), run, told)
    with pytest.raises(ValueError, match=r"data has 3 classes \(ape, bee, cat\), and the"):
        check_classes(images, replace(NETWORK, num_classes=2), run, trainer)
    before = make_run(tmp_path / "run", names=("ape", "bee", "cow"))
    resumed = replace(trainer, resume=True)
    with pytest.raises(ValueError, match="the run was trained with ape, bee, cow: train on these"):
        check_classes(images, NETWORK, before, resumed)
