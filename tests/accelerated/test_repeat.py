"""``sample --like``: a picture is drawn again as its file says, to the bit, or it is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.repeat import _sampling
from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build
from ddpm_mindspore.accelerated.runs.provenance import facts, run_digest
from ddpm_mindspore.reference.config import SamplingConfig, UnetConfig


def make_run(folder: Path) -> RunFolder:
    """A run with classes and two checkpoints, whose tiny network has learned nothing."""
    net = UnetConfig(
        dim=4, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=4, num_classes=3
    )
    config = replace(DIGITS, network=net, sampling=SamplingConfig(eta=0.7))
    run = RunFolder(folder)
    run.prepare(resume=False)
    run.config.write(config, images={"count": 9, "path": None, "classes": ["cat", "dog", "=3,5"]})
    for step in (5, 6):
        arrays = build(replace(config, trainer=replace(config.trainer, seed=step))).model.arrays()
        save(run.path, Checkpoint(step, {"ema": arrays, "model": arrays}, {}))
    return run


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a run, and what ``sample`` has drawn with the older checkpoint."""
    folder = tmp_path_factory.mktemp("repeat")
    run = make_run(folder / "run")
    options = ["--guidance", "2.1234567", "--guidance-interval", "0.1", "300", "--seed", "7"]
    options += ["--sampler", "ddim", "--sampling-timesteps", "3", "--label", "dog", "=3,5"]
    options += ["--step", "5", "--num-samples", "5", "--batch-size", "3"]
    assert main(["sample", str(run.path), *options]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)


def said_of(path: str) -> dict[str, str]:
    with Image.open(path) as picture:
        picture.load()
        return dict(picture.text)  # type: ignore[attr-defined]


def test_a_picture_is_drawn_again_to_the_bit_with_all_that_its_file_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = said_of("run/drawn/00003.png")
    assert (said["Guidance"], said["Batch size"], said["Eta"]) == ("2.1234567", "3", "0.7")
    assert (said["Label"], said["Step"]) == ("=3,5", "5")
    before = {p.name: p.read_bytes() for p in Path("run/drawn").iterdir()}
    assert main(["sample", "run", "--like", "run/drawn/00003.png"]) == 0
    assert "the same picture, bit for bit" in capsys.readouterr().out
    assert Path("run/repeated/00003.png").read_bytes() == before["00003.png"]
    assert {p.name: p.read_bytes() for p in Path("run/drawn").iterdir()} == before
    assert {p.name for p in Path("run/repeated").iterdir()} == {
        *("00003.png", "drawn.json", "grid.png", "samples.npy")
    }
    found = json.loads(Path("run/repeated/drawn.json").read_text())
    assert (found["first"], found["begun"], found["finished"]) == (3, 4, 1)
    # What others put there meanwhile is theirs, unless a repeated picture would take its name.
    Path("run/repeated/00001.png").write_text("mine")
    assert main(["sample", "run", "--like", "run/drawn/grid.png", "--output", "run/repeated"]) == 2
    assert "holds '00001.png', which its drawing has not made" in capsys.readouterr().err


def test_a_picture_in_half_precision_says_so_and_is_drawn_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ["--sampler", "ddim", "--sampling-timesteps", "2", "--num-samples", "1"]
    half = ["--amp-level", "O2", "--amp-dtype", "float16"]
    assert main(["sample", "run", *options, "--output", "single"]) == 0
    assert main(["sample", "run", *options, *half, "--output", "half"]) == 0
    found = json.loads(Path("half/drawn.json").read_text())
    assert found["precision"] == said_of("half/00000.png")["Precision"] == "O2 float16"
    assert "Precision" not in said_of("single/00000.png")
    # float32 and float16 draw about the same, and not the same.
    half_done, single = (np.load(f"{f}/samples.npy").astype(int) for f in ("half", "single"))
    apart = half_done - single
    assert 0 < np.abs(apart).max() < 10
    assert main(["sample", "run", "--like", "half/00000.png", "--output", "again"]) == 0
    assert "the same picture, bit for bit" in capsys.readouterr().out
    assert main(["sample", "run", "--amp-level", "O4"]) == 2
    assert "amp_level 'O4' is unknown: choose O0, O1, O2 or O3" in capsys.readouterr().err


@pytest.mark.slow
def test_a_grid_is_drawn_again_and_a_difference_is_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert json.loads(said_of("run/drawn/grid.png")["Labels"]) == ["dog", "=3,5"]
    assert main(["sample", "run", "--like", "run/drawn/grid.png", "--output", "again"]) == 0
    names = ["grid.png", "samples.npy", *(f"{i:05d}.png" for i in range(5))]
    for name in names:
        assert Path("again", name).read_bytes() == Path("run/drawn", name).read_bytes()
    with Image.open("again/grid.png") as picture:
        pixels = np.array(picture)
        text = said_of("again/grid.png")
    pixels[9, 9] ^= 5
    pictures.save_png(Image.fromarray(pixels), Path("other.png"), text)
    assert main(["sample", "run", "--like", "other.png", "--output", "again"]) == 1
    assert "not the same picture: off in 3 of" in capsys.readouterr().err


def saved(name: str, **changes: str | None) -> str:
    """A picture that says the same as one of ours, but for some of it."""
    said = {**said_of("run/drawn/00003.png"), **changes}
    text = {name: value for name, value in said.items() if value is not None}
    pictures.save_png(Image.new("L", (8, 8)), Path(name), text)
    return name


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"Software": None}, "does not say how it was drawn: give a picture that sample has"),
        ({"Software": "GIMP"}, "does not say how it was drawn"),
        ({"Run": "0123456789abcdef"}, "was drawn by run 0123456789abcdef, and 'run' is"),
        ({"Task": "inpaint"}, "was drawn from another picture (inpaint)"),
        ({"Layout": "[]"}, "is of training, with real images beside drawn ones"),
        ({"Batch size": None}, "does not say how many images were drawn at a time"),
        ({"Seed": "x"}, "says what no drawing says"),
        ({"Sampler": "magic"}, "says what no drawing says (sampler 'magic'"),
        ({"Sampling steps": "4000"}, "sampling_timesteps 4000 must be from 1 to timesteps"),
        ({"Label": "cow"}, "label 'cow' is no class: choose from cat, dog, =3,5"),
        ({"Step": "9"}, "has no checkpoint of step 9: it has 5, 6"),
        ({"Image size": "7"}, "says what no drawing says (Image size '7')"),
        ({"Image size": "0 8"}, "image_size 0"),
    ],
)
def test_a_picture_that_cannot_be_repeated_is_refused_in_a_line(
    capsys: pytest.CaptureFixture[str], changes: dict[str, str | None], told: str
) -> None:
    name = saved("changed.png", **changes)
    assert main(["sample", "run", "--like", name, "--output", "nothing"]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1
    assert not list(Path("nothing").glob("[0-9d]*")) if Path("nothing").exists() else True


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["missing.png"], "like 'missing.png' cannot be read ("),
        (["text.png"], "like 'text.png' cannot be read ("),
        (["run/drawn/00003.png", "--seed", "3"], "leave seed out"),
        (["run/drawn/00003.png", "--label", "cat"], "leave label out"),
        (["run/drawn/00003.png", "--output", "run/drawn"], "is where the picture is"),
    ],
)
def test_what_is_no_picture_and_what_says_otherwise_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    Path("text.png").write_text("a text")
    assert main(["sample", "run", "--like", *words]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "sampling",
    [
        SamplingConfig(),
        SamplingConfig(sampler="ancestral", variance="beta", clip_denoised=False),
        SamplingConfig(spacing="900,300.123456789,1", dynamic_threshold=0.995),
        SamplingConfig(spacing="500", sampler="euler", s_churn=1 / 3, s_tmax=float("inf")),
        SamplingConfig(sampler="unipc", order=3, variant="bh2", cond_scale=0.1 + 0.2),
        SamplingConfig(
            cond_scale=3, guidance_interval=(0.1, 300.0), guidance_rescale=0.7,
            guidance_parallel=0.0, guidance_norm=2.5, guidance_momentum=-0.5,
        ),
    ],
)  # fmt: skip
def test_what_a_file_says_of_the_sampler_is_all_of_it(sampling: SamplingConfig) -> None:
    text = facts(DIGITS, 1, "average", sampling, 0)
    assert text["Run"] == run_digest(DIGITS)
    again = _sampling(text)
    assert facts(DIGITS, 1, "average", again, 0) == text
    assert again.facts(1000) == sampling.facts(1000) and again.rule == sampling.rule
    changed = ("clip_denoised", "dynamic_threshold", "guidance_interval", "guidance_momentum")
    assert all(getattr(again, name) == getattr(sampling, name) for name in changed)
    assert again.cond_scale == sampling.cond_scale
