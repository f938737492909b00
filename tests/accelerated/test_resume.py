"""The law: train(2n) is train(n), stop, start again, train(n), bit for bit, whatever is trained.

Every configuration is trained twice: undisturbed, and from a copy of that run as it was when it was
killed half-way. One more, with everything that draws random numbers, is in test_trainer.py.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.accelerated.runs.checkpoint import load

SIZE = (4, 8)
STEPS = 4
NET: dict[str, Any] = {"dim": 8, "dim_mults": (1,), "attn_heads": 1, "attn_dim_head": 8}
DIFFUSION: dict[str, Any] = {"timesteps": 20, "sampling_timesteps": 2}
TRAINING: dict[str, Any] = {
    "train_num_steps": STEPS,
    "train_batch_size": 4,
    "train_lr": 3e-3,
    "ema_update_every": 1,
    "ema_update_after_step": 1,
    "save_and_sample_every": 1,
    "num_samples": 3,
    "keep_last": None,
    "seed": 3,
}


def pixels() -> np.ndarray[Any, Any]:
    """Seven pictures: with batches of four an epoch never ends with an update."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:4, 0:8] / 8
    waves = np.sin(5 * x + 2 * y + rng.uniform(0, 6, (7, 1, 1, 1)) + np.zeros((7, 3, 1, 1)))
    return np.asarray(127 + 120 * waves, np.uint8)


def as_array(_: Path) -> np.ndarray[Any, Any]:
    return pixels()


def as_folder(place: Path) -> Path:
    place.mkdir(exist_ok=True)
    for i, image in enumerate(pixels()):
        Image.fromarray(image.transpose(1, 2, 0)).resize((20, 12)).save(place / f"{i}.png")
    return place


def as_dataset(_: Path) -> Any:
    images = [(image,) for image in pixels().transpose(0, 2, 3, 1)]
    return ds.GeneratorDataset(images, ["image"], shuffle=False)


SOURCES: dict[str, Callable[[Path], Any]] = {
    "array": as_array,
    "folder": as_folder,
    "dataset": as_dataset,
}
STREAMED = {"data_memory_gb": 0.0}

# name: (data, network, diffusion, training)
EVERYDAY: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "eps, a streamed folder, random crops, AdamW, cosine, long averages": (
        "folder",
        {"dropout": 0.2},
        {"objective": "pred_noise", "min_snr_loss_weight": True},
        {
            **STREAMED,
            "crop": "random_resized",
            "augment_horizontal_flip": True,
            "weight_decay": 0.1,
            "lr_schedule": "cosine",
            "ema_sigma_rels": (0.05, 0.1),
        },
    ),
    "a flow at any times, noise with an offset, assigned": (
        "array",
        {"self_condition": True},
        {
            **{"objective": "flow", "time_distribution": "log_normal", "offset_noise": 0.2},
            "immiscible": True,
        },
        {"gradient_accumulate_every": 2},
    ),
    "x_0, a streamed dataset, accumulation, half precision with a scale that moves": (
        "dataset",
        {"self_condition": True},
        {"objective": "pred_x0", "loss_type": "l1"},
        {**STREAMED, "gradient_accumulate_every": 2, "amp_level": "O2", "amp_dtype": "float16"},
    ),
}
PRODUCT = {
    f"{objective}, {source}, {every} gradients, {level}": (
        source,
        {"dropout": 0.1, "self_condition": True},
        {"objective": objective},
        {**STREAMED, "gradient_accumulate_every": every, "amp_level": level},
    )
    for objective, source, every, level in itertools.product(
        ("pred_noise", "pred_x0", "pred_v"), SOURCES, (1, 2), ("O0", "O1")
    )
}


def assert_resumes_exactly(
    folder: Path,
    source: str,
    net: dict[str, Any],
    diffusion: dict[str, Any],
    training: dict[str, Any],
    *,
    at: int,
) -> None:
    """Train, go back to the checkpoint after ``at`` updates, go on, and compare everything."""
    data = folder / "data"

    def train(run: Path, **options: Any) -> Trainer:
        network = Unet(**NET | net)
        process = GaussianDiffusion(network, image_size=SIZE, **DIFFUSION | diffusion)
        images = SOURCES[source](data)
        given = TRAINING | training | options
        trainer = Trainer(process, images, results_folder=str(run), **given)
        assert trainer.step == (at if options else 0)
        assert trainer.train()
        return trainer

    whole, again = folder / "whole", folder / "again"
    train(whole)
    shutil.copytree(whole, again)
    for path in [*again.glob("checkpoints/*"), *again.glob("samples/*")]:
        if int(path.stem.removeprefix("step-")) > at:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    train(again, resume=True)
    for step in range(at + 1, STEPS + 1):
        one, other = (load(run / f"checkpoints/step-{step:08d}") for run in (whole, again))
        assert one.state == other.state
        assert one.tensors.keys() == other.tensors.keys()
        for group, tensors in one.tensors.items():
            for name, array in tensors.items():
                np.testing.assert_array_equal(array, other.tensors[group][name], f"{group} {name}")
        name = f"samples/step-{step:08d}.png"
        assert (whole / name).read_bytes() == (again / name).read_bytes()
    assert measured(whole) == measured(again)
    moved = load(whole / f"checkpoints/step-{STEPS:08d}").tensors["model"]["init_conv.weight"]
    before = load(whole / f"checkpoints/step-{at:08d}").tensors["model"]["init_conv.weight"]
    assert (moved != before).any()


def measured(run: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(autouse=True)
def no_loss_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would take half of the time."""
    monkeypatch.setattr(pictures, "loss_curve", lambda *_: None)


USUAL = next(iter(EVERYDAY))
"""What the others are beside it: slow."""


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] * (n != USUAL)) for n in EVERYDAY],
)
def test_a_resumed_run_is_the_run_bit_for_bit(tmp_path: Path, name: str) -> None:
    assert_resumes_exactly(tmp_path, *EVERYDAY[name], at=2)  # in the middle of an epoch


@pytest.mark.slow
def test_a_run_goes_on_with_other_sampling_options_and_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """How one samples is no part of what is trained."""

    def trainer(steps: int, resume: bool, **sampling: Any) -> Trainer:
        diffusion = GaussianDiffusion(Unet(**NET), image_size=SIZE, timesteps=20, **sampling)
        given = TRAINING | {"train_num_steps": steps, "resume": resume}
        return Trainer(diffusion, pixels(), results_folder=str(tmp_path), **given)

    first = trainer(1, False, sampling_timesteps=2)
    assert first.train()
    capfd.readouterr()
    again = trainer(2, True, sampling_timesteps=3, ddim_sampling_eta=0.5, clip_denoised=False)
    said = capfd.readouterr().out
    assert "sampling_timesteps 3 (it was 2), eta 0.5 (it was None)" in said
    assert "clip_denoised False (it was True)" in said
    assert again.step == 1 and again.train()
    assert again.run.config.read().sampling.eta == 0.5
    trainer(2, True, sampling_timesteps=3, ddim_sampling_eta=0.5, clip_denoised=False)
    assert "(it was" not in capfd.readouterr().out
    with pytest.raises(ValueError, match="objective is pred_v, not pred_x0, in the run"):
        trainer(2, True, objective="pred_x0")


@pytest.mark.nightly
@pytest.mark.parametrize("at", [1, 3])
@pytest.mark.parametrize("name", PRODUCT)
def test_every_combination_resumes_bit_for_bit(tmp_path: Path, name: str, at: int) -> None:
    assert_resumes_exactly(tmp_path, *PRODUCT[name], at=at)
