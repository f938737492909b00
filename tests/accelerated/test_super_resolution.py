"""Networks that are trained to enlarge: what they are shown, their runs, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.config import DIGITS, RunConfig
from ddpm_mindspore.accelerated.data.digits import load_digits
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, load_newest, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build
from ddpm_mindspore.reference.config import SamplingConfig, UnetConfig
from ddpm_mindspore.reference.networks import unet
from ddpm_mindspore.reference.tasks.super_resolution import small

NET: dict[str, Any] = {"dim": 4, "dim_mults": (1,), "attn_heads": 1, "attn_dim_head": 4}
DIGIT = load_digits()[3:4]


@pytest.fixture(scope="module")
def diffusion() -> GaussianDiffusion:
    network = Unet(**NET, channels=1, cond_channels=1, cond_drop_prob=0.25)
    return GaussianDiffusion(network, image_size=8, timesteps=3, seed=5)


def test_a_small_picture_is_enlarged_to_what_the_network_is_shown(
    diffusion: GaussianDiffusion,
) -> None:
    """Given small, or enlarged already, as uint8 or as floats."""
    low = small(DIGIT / 255.0, 4)
    large = low.repeat(4, 2).repeat(4, 3)
    one, other = (diffusion.sample(1, condition=x, seed=1) for x in (low, large))
    np.testing.assert_array_equal(one, other)
    again = diffusion.sample(1, condition=1.0 - low, seed=1)
    assert np.abs(one - again).max() > 1e-5
    levels = np.array([[[[0, 255], [51, 204]]]], np.uint8)
    as_floats, as_levels = (
        diffusion.sample(1, condition=x, seed=1) for x in (levels / 255.0, levels)
    )
    np.testing.assert_allclose(as_floats, as_levels, atol=1e-6)


def test_guidance_goes_away_from_no_picture(diffusion: GaussianDiffusion) -> None:
    low = small(DIGIT / 255.0, 4)
    plain, guided = (diffusion.sample(1, condition=low, cond_scale=w, seed=1) for w in (1.0, 3.0))
    assert np.abs(plain - guided).max() > 1e-6


def test_a_share_of_the_pictures_is_not_shown(diffusion: GaussianDiffusion) -> None:
    x_0 = np.zeros((400, 1, 8, 8), np.float32)
    batch = diffusion.micro_batch(x_0, 1, range(400), 0, np.ones((400, 1, 8, 8)))
    assert batch.condition is not None
    untold = (batch.condition == 0.0).all((1, 2, 3))
    assert 0.18 < untold.mean() < 0.32
    assert np.all(batch.condition[~untold] == 1.0)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (None, "condition is missing: the network is shown a small picture of each item"),
        (np.zeros((1, 1, 3, 3)), r"condition of shape \(1, 1, 3, 3\) must be \(B, 1, "),
        (np.zeros((1, 3, 2, 2)), r"condition of shape \(1, 3, 2, 2\) must be \(B, 1, "),
        (np.zeros((2, 1, 2, 2)), r"condition of shape \(2, 1, 8, 8\) must be \(1, ...\)"),
        (np.full((1, 1, 2, 2), 2.0), "condition range from 2.0 to 2.0: scale them to"),
        (7, r"condition of shape \(\) must be"),
    ],
)
def test_a_picture_that_does_not_fit_is_refused(
    diffusion: GaussianDiffusion, condition: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        diffusion.sample(1, condition=condition)
    with pytest.raises(ValueError, match=message):
        diffusion(DIGIT, condition=condition)


def test_the_reference_refuses_the_same() -> None:
    config = UnetConfig(**NET, channels=1, cond_channels=2)
    params = unet.init(config, np.random.default_rng(0))
    x, time = np.zeros((1, 1, 4, 4)), np.zeros(1)
    with pytest.raises(ValueError, match=r"condition is missing: give pictures \(1, 2, 4, 4\)"):
        unet.unet(params, config, x, time)
    with pytest.raises(ValueError, match=r"condition has shape \(1, 1, 4, 4\): give pictures"):
        unet.unet(params, config, x, time, condition=x)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cond_channels": -1}, "cond_channels -1 must not be negative"),
        ({"cond_channels": 1, "num_classes": 2}, "is shown a picture or told a class, leave one"),
    ],
)
def test_networks_that_there_are_not(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UnetConfig(**NET, **options)


def trainer(folder: Path, **options: Any) -> Trainer:
    net = Unet(**NET, channels=1, cond_channels=options.pop("cond_channels", 1))
    diffusion = GaussianDiffusion(net, image_size=8, timesteps=20, sampling_timesteps=2)
    given = {"train_num_steps": 4, "train_batch_size": 4, "num_samples": 4, "super_resolve": 4}
    given |= {"save_and_sample_every": 2, "results_folder": str(folder)}
    return Trainer(diffusion, load_digits()[:16], **{**given, **options})


@pytest.mark.slow
def test_a_resumed_run_is_the_same_run(tmp_path: Path) -> None:
    assert trainer(tmp_path / "whole").train()
    assert trainer(tmp_path / "halves", train_num_steps=2).train()
    with pytest.raises(ValueError, match="super_resolve is 4, not 2, in the run in"):
        trainer(tmp_path / "halves", resume=True, super_resolve=2)
    assert trainer(tmp_path / "halves", resume=True).train()
    one, other = (load_newest(tmp_path / name).checkpoint for name in ("whole", "halves"))
    for group, arrays in one.tensors.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, other.tensors[group][name], err_msg=name)
    with Image.open(tmp_path / "whole/samples/step-00000004.png") as page:
        assert page.width > 3 * 2 * 48  # the small pictures, what was drawn, and the real ones


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"super_resolve": 3}, "super_resolve 3 does not divide 8 x 8, the images' size"),
        ({"super_resolve": 1}, "super_resolve 1 must be at least 2"),
        ({"super_resolve": None}, r"say how many times smaller it is \(super_resolve 4\)"),
        (
            {"cond_channels": 0},
            r"super_resolve 4 needs a network that is shown the small image: Un",
        ),
        ({"cond_channels": 3}, "cond_channels 3 must be those of the images, 1"),
    ],
)
def test_a_trainer_whose_network_is_shown_something_else(
    options: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        trainer(tmp_path / "run", **options)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that enlarges, as it is before it has learned anything; one that does not; pictures."""
    folder = tmp_path_factory.mktemp("enlarging")
    sampling = SamplingConfig(sampling_timesteps=3)
    plain = replace(DIGITS, network=UnetConfig(**NET, channels=1), sampling=sampling)
    enlarging = replace(
        plain,
        network=UnetConfig(**NET, channels=1, cond_channels=1),
        trainer=replace(DIGITS.trainer, super_resolve=4),
    )
    for name, config in (("run", enlarging), ("plain", plain)):
        make_run(folder / name, config)
    pictures = {"low": small(DIGIT, 4)[0, 0].astype(np.uint8), "half": DIGIT[0, 0, ::2, ::2]}
    for name, pixels in {**pictures, "large": DIGIT[0, 0]}.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def make_run(folder: Path, config: RunConfig) -> None:
    run = RunFolder(folder)
    run.prepare(resume=False)
    run.config.write(config)
    start = build(config).model.arrays()
    save(run.path, Checkpoint(5, {"ema": start, "model": start}, {}))


def test_the_command_draws_what_sample_draws_of_the_picture(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here)
    words = ["super-resolve", "run", "low.png", "--num-samples", "3", "--seed", "4"]
    assert main([*words, "--output", "drawn"]) == 0
    drawn = np.load("drawn/samples.npy")
    with Image.open("low.png") as picture:
        low = np.asarray(picture)[None, None].repeat(3, 0)
    expected = build(RunFolder(here / "run").config.read()).sample(3, condition=low, seed=4)
    assert np.abs(drawn - 255.0 * expected).max() < 0.51
    facts = json.loads(Path("drawn/drawn.json").read_text())
    assert (facts["task"], facts["method"], facts["factor"]) == ("super-resolve", "sr3", 4)


REFUSED = [
    ("sample run", "run 'run' enlarges small pictures, and is given none: use super-resolve RUN"),
    ("edit run large.png", "run 'run' enlarges small pictures (super-resolve) and does nothing el"),
    ("super-resolve run half.png", "image 'half.png' is 4 x 4 (height x width), and 2 x 2 is"),
    ("super-resolve run low.png --method dps", "method dps is for a run that was not trained to"),
    ("super-resolve run low.png --factor 2", "factor 2 is not that of run 'run', 4: leave it out"),
    ("super-resolve run low.png --noise 0.1", "noise 0.1 is for ddnm and dps: run 'run' was shown"),
    ("super-resolve run low.png --label 3", "label '3' is for a run with classes"),
    ("super-resolve plain low.png --method sr3", "method sr3 needs a run that was trained to enla"),
    ("train --super-resolve 3", "super_resolve 3 does not divide 8 x 8, the images' size"),
    ("train --data scenes --super-resolve 2", "super_resolve 2 is for images and their U-Net: le"),
    ("train --super-resolve 4 --conditional", "a small picture or told a class, leave one of them"),
    ("train --cond-channels 1", "say how many times smaller it is (super_resolve 4), or leave"),
    ("train --image-size 16 --super-resolve 5", "super_resolve 5 does not divide 16 x 16"),
    ("export run", "is told of classes or shown pictures, which no network of denoising-diffusion"),
]


@pytest.mark.parametrize(("words", "told"), REFUSED, ids=[words for words, _ in REFUSED])
def test_wrong_input_is_one_line(
    words: str,
    told: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(here)
    assert main(words.split()) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert told in lines[-1] and lines[-1].startswith("ddpm-mindspore: ")
    assert not Path("run/drawn").exists()
