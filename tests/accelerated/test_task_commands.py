"""The commands that are given pictures: what they write, and what they refuse before long work."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.data.digits import load_digits
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build
from ddpm_mindspore.reference.config import (
    MlpConfig,
    SamplingConfig,
    Unet1DConfig,
    UnetConfig,
)

DIGIT = load_digits()[3, 0]
JUMPS = ("--jump-repeats", "2", "--jump-length", "1")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a tiny network that has learned nothing, and pictures."""
    folder = tmp_path_factory.mktemp("tasks")
    net = UnetConfig(dim=4, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=4)
    config = replace(DIGITS, network=net, sampling=SamplingConfig(sampling_timesteps=4))
    run = RunFolder(folder / "run")
    run.prepare(resume=False)
    run.config.write(config)
    start = build(config).model.arrays()
    save(run.path, Checkpoint(5, {"ema": start, "model": start}, {}))
    # Of others the configuration is enough: what is wrong is found before more is read.
    classes = replace(net, num_classes=3)
    sequences = Unet1DConfig(dim=4, dim_mults=(1,), channels=1, attn_heads=1)
    for name, other in {
        "classes": replace(config, network=classes),
        "always": replace(config, network=replace(classes, cond_drop_prob=0.0)),
        "colours": replace(config, network=replace(net, channels=3)),
        "series": replace(config, network=sequences, image_size=16),
        "table": replace(config, network=MlpConfig(dim=8, channels=2), image_size=()),
    }.items():
        RunFolder(folder / name).prepare(resume=False)
        RunFolder(folder / name).config.write(other, 1, {"classes": ["ape", "bee", "cat"]})
    mask = np.zeros((8, 8), np.uint8)
    mask[:, 4:] = 255
    pictures = {
        **{"digit": DIGIT, "other": load_digits()[7, 0], "mask": mask},
        **{"white": mask * 0 + 255, "black": mask * 0, "large": np.zeros((8, 12), np.uint8)},
        **{"small": DIGIT[::2, ::2], "odd": DIGIT[:3, :3], "rgb": np.zeros((8, 8, 3), np.uint8)},
        "cut-out": np.stack([DIGIT, 255 - mask], -1),
    }
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    (folder / "text.png").write_text("no picture")
    return folder


@pytest.fixture(autouse=True)
def inside(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)


def drawn(folder: str) -> np.ndarray:
    images: np.ndarray = np.load(Path(folder) / "samples.npy")
    return images


def said_by(file: str) -> dict[str, str]:
    """What a picture's file says drew it; what all files say is left out."""
    with Image.open(file) as picture:
        picture.load()
        text = dict(picture.text)  # type: ignore[attr-defined]
    return {name: text[name] for name in text if name not in ("Software", "Run", "Image")}


def test_inpainting_keeps_what_is_known_and_the_seed_decides_the_rest() -> None:
    words = ["inpaint", "run", "digit.png", "--mask", "mask.png", *JUMPS]
    assert main([*words, "--output", "a"]) == 0
    assert main([*words, "--output", "b", "--seed", "1"]) == 0
    a, b = drawn("a"), drawn("b")
    assert (a.shape, b.shape) == ((4, 1, 8, 8),) * 2
    known = np.broadcast_to(DIGIT[:, :4], (4, 1, 8, 4))
    np.testing.assert_array_equal(a[..., :4], known)
    np.testing.assert_array_equal(b[..., :4], known)
    assert np.any(a[0] != a[1]) and np.any(a != b)
    facts = json.loads(Path("a/drawn.json").read_text())
    assert facts["task"] == "inpaint" and facts["method"] == "repaint" and facts["steps"] == 4
    assert said_by("b/00001.png") == {
        **{"Step": "5", "Weights": "average", "Task": "inpaint", "Method": "repaint"},
        **{"Jump length": "1", "Jump repeats": "2", "Sampling steps": "4", "Spacing": "uniform"},
        "Seed": "1",
    }
    assert main(["inpaint", "run", "cut-out.png", "--mask", "alpha", *JUMPS, "--output", "c"]) == 0
    np.testing.assert_array_equal(drawn("c"), a)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ddnm", "dps"])
def test_inpainting_by_the_other_methods(method: str) -> None:
    words = ["inpaint", "run", "digit.png", "--mask", "mask.png", "--output", method]
    assert main([*words, "--jump-repeats", "1", "--method", method]) == 0
    if method == "ddnm":
        assert np.all(drawn(method)[..., :4] == DIGIT[:, :4])


def test_enlarging_and_restoring_keep_to_the_measurement() -> None:
    assert main(["super-resolve", "run", "small.png", "--output", "s", "--num-samples", "2"]) == 0
    means = drawn("s").reshape(2, 4, 2, 4, 2).mean((2, 4))
    assert np.abs(means - DIGIT[::2, ::2]).max() <= 64  # pixels are cut to 0..255, and rounded
    words = [
        "restore",
        "run",
        "digit.png",
        "--degradation",
        "blur:0.5",
        "--output",
        "r",
        "--num-samples",
        "2",
    ]
    assert main([*words, "--num-samples", "2"]) == 0
    assert drawn("r").shape == (2, 1, 8, 8)


def test_a_picture_is_inverted_and_the_error_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["invert", "run", "digit.png"]) == 0
    said = capsys.readouterr().out
    assert "the picture drawn from it differs by" in said
    assert np.load("run/invert/noise.npy").shape == (1, 1, 8, 8)
    assert said_by("run/invert/00000.png") == {
        **{"Step": "5", "Weights": "average", "Task": "invert", "Iterations": "50"},
        **{"Sampler": "ddim", "Sampling steps": "4", "Spacing": "uniform", "Seed": "0"},
    }
    error = float(said.partition("differs by ")[2].split()[0])
    off = (drawn("run/invert")[0, 0].astype(float) - DIGIT) / 255
    assert np.sqrt(np.mean(off**2)) == pytest.approx(error, abs=0.01)


@pytest.mark.slow
def test_the_ends_of_an_interpolation_are_the_pictures_and_edits_begin_with_them() -> None:
    assert (
        main(["interpolate", "run", "digit.png", "other.png", "--frames", "3", "--output", "p"])
        == 0
    )
    with Image.open("p/grid.png") as row:
        assert row.width > 2.5 * row.height
    assert main(["invert", "run", "other.png", "--output", "q"]) == 0
    assert np.abs(drawn("p")[2].astype(int) - drawn("q")[0]).max() <= 2
    assert (
        main(
            [
                "edit",
                "run",
                "digit.png",
                "--strength",
                "0.002",
                "--num-samples",
                "1",
                "--output",
                "e",
            ]
        )
        == 0
    )
    assert drawn("e").shape == (1, 1, 8, 8)


REFUSED = [
    ("inpaint colours digit.png --mask mask.png", "is grey, the run's images are RGB (red, green"),
    ("edit classes digit.png --label dog", "label 'dog' is no class: choose from ape, bee, cat"),
    ("invert classes digit.png --label 3", "label '3' is no class: choose from ape, bee, cat"),
    (
        "edit always digit.png",
        "the run was always told a class: say what the image is of (--label)",
    ),
    ("edit series digit.png", "run 'series' is not of images, which this is for"),
    ("super-resolve table small.png", "run 'table' is not of images, which this is for"),
    ("sample series --image-size 6 6", "size (6, 6) must be 1 number, the length of the sequences"),
    ("sample table --image-size 8", "image_size 8 is for images and sequences: a vector has none"),
    ("sample run --label 3", "label '3' is for a run with classes, which this one was not trained"),
    ("sample run --sampler unipc --eta 1", "eta 1.0 is no option of sampler 'unipc': ddim has it"),
    ("sample run --image-size 0", "image_size 0 must be at least 1"),
    ("restore run digit.png --degradation blur", "degradation 'blur' is written"),
    ("restore run digit.png --degradation blur:-1", "blur -1"),
    ("restore run digit.png --degradation downsample:0", "downsample 0"),
    ("inpaint nowhere digit.png --mask mask.png", "'nowhere' is not a run folder"),
    ("inpaint run digit.png", "--mask"),
    ("inpaint run none.png --mask mask.png", "image 'none.png' cannot be read: No such file"),
    ("inpaint run text.png --mask mask.png", "cannot be read: not an image that Pillow can read"),
    ("inpaint run large.png --mask mask.png", "is 8 x 12 (height x width), and 8 x 8 is needed"),
    ("inpaint run digit.png --mask large.png", "mask 'large.png' is 8 x 12"),
    ("inpaint run digit.png --mask none.png", "image 'none.png' cannot be read"),
    ("inpaint run digit.png --mask alpha", "image 'digit.png' has no alpha channel: name a mask"),
    ("inpaint run digit.png --mask white.png", "is white all over: nothing is known, use sample"),
    ("inpaint run digit.png --mask black.png", "is black all over: what is to be painted has to"),
    ("inpaint run rgb.png --mask mask.png", "is RGB (red, green and blue), the run's images are g"),
    ("inpaint run digit.png --mask mask.png --jump-repeats 0", "jump_repeats 0 must be at least 1"),
    ("inpaint run digit.png --mask mask.png --scale nan", "scale nan must be a finite number"),
    ("inpaint run digit.png --mask mask.png --step 7", "step 7"),
    ("restore run digit.png --degradation sharpen", "degradation 'sharpen' is unknown: choose no"),
    ("restore run digit.png --degradation downsample:3", "downsample 3 does not divide 8 x 8"),
    ("restore run digit.png --degradation downsample:2", "is 8 x 8 (height x width), and 4 x 4"),
    ("restore run digit.png --degradation grey", "these have 1 channels"),
    ("restore run digit.png --degradation noise", "without noise is no degradation: say how much"),
    ("restore run digit.png --degradation noise --noise -1", "noise -1.0 must not be negative"),
    ("super-resolve run digit.png", "are no whole number of times larger: resize it, or add"),
    ("super-resolve run odd.png", "is 3 x 3 (height x width), and the run's 8 x 8 are no whole"),
    ("super-resolve run small.png --factor 1", "factor 1 must be at least 2"),
    ("edit run digit.png --strength 0", "strength 0.0 must be above 0 (nothing changes) and at m"),
    ("edit run digit.png --strength 1.5", "strength 1.5 must be above 0"),
    ("edit run digit.png --eta 2", "eta 2.0 must be from 0 to 1"),
    ("edit run digit.png --label 3", "label '3' is for a run with classes, which this one was"),
    ("edit run digit.png --sampling-timesteps 1001", "sampling_timesteps 1001 must be from 1 to"),
    ("edit run digit.png --device abacus", "device 'abacus'"),
    ("edit run digit.png --ema 0.1 --weights trained", "ema 0.1 is the length of an average"),
    ("edit run digit.png --output run", "holds what is no drawing"),
    ("edit run digit.png --output .", "output '.' is where image 'digit.png' is"),
    ("invert run digit.png --iterations 0", "iterations 0 must be at least 1"),
    ("interpolate run digit.png", "IMAGE"),
    ("interpolate run digit.png large.png", "image 'large.png' is 8 x 12"),
    ("interpolate run digit.png other.png --frames 1", "frames 1 must be at least 2: both ends"),
]


@pytest.mark.parametrize(("words", "told"), REFUSED, ids=[words for words, _ in REFUSED])
def test_wrong_input_is_one_line(words: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert line.startswith("ddpm-mindspore: ")
    assert told in line
    assert not Path("run/drawn/samples.npy").exists()


def test_a_picture_of_another_size_can_be_fitted(here: Path) -> None:
    from ddpm_mindspore.accelerated.data.single import read_alpha, read_mask, read_picture

    assert read_picture(here / "large.png", (1, 8, 8), fit=True).shape == (1, 8, 8)
    assert read_mask(here / "mask.png", (4, 4), fit=True).tolist() == [[1, 1, 0, 0]] * 4
    known = read_alpha(here / "cut-out.png", (8, 8))
    np.testing.assert_array_equal(known, read_mask(here / "mask.png", (8, 8)))
    np.testing.assert_array_equal(read_picture(here / "digit.png", (1, 8, 8))[0], DIGIT)
