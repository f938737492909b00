"""What a trainer refuses to begin or to go on with, before it writes anything."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet

from .quick_trainer import (
    DIFFUSION,
    NET,
    SIZE,
    Quick,
    saved,
)


def test_only_one_trainer_at_a_time(quick: Quick) -> None:
    trainer, step = quick()
    other, _ = quick()

    def begin_another() -> None:
        with pytest.raises(ValueError, match=rf"is being trained in by process {os.getpid()} on"):
            other.train()

    step.at[4] = begin_another
    assert trainer.train()
    with pytest.raises(ValueError, match="has got other checkpoints since this Trainer was made"):
        other.train()
    assert quick(resume=True)[0].train()


def test_an_existing_run_is_not_overwritten(quick: Quick) -> None:
    trainer, _ = quick()
    trainer.train()
    with pytest.raises(ValueError, match="already holds a run: go on with it"):
        quick()
    assert saved(trainer) == [3, 6, 7]


def test_there_must_be_something_to_resume(quick: Quick) -> None:
    with pytest.raises(ValueError, match="holds no checkpoint to resume from"):
        quick(resume=True)


@pytest.mark.parametrize(
    ("net", "diffusion", "size", "message"),
    [
        ({"dim": 12}, {}, SIZE, "dim is 8, not 12, in the run in"),
        ({}, {"timesteps": 30}, SIZE, "timesteps is 20, not 30, in the run in"),
        ({}, {"objective": "pred_noise"}, SIZE, "objective is pred_v, not pred_noise, in"),
        ({}, {}, (8, 8), r"image_size is \(4, 8\), not \(8, 8\), in"),
    ],
)
def test_another_network_or_process_does_not_resume(
    quick: Quick,
    tmp_path: Path,
    net: dict[str, Any],
    diffusion: dict[str, Any],
    size: tuple[int, int],
    message: str,
) -> None:
    quick(train_num_steps=1)[0].train()
    config = (tmp_path / "run" / "config.json").read_bytes()
    other = GaussianDiffusion(Unet(**NET | net), image_size=size, **DIFFUSION | diffusion)
    images = np.zeros((3, 2, *size), np.uint8)
    with pytest.raises(ValueError, match=message):
        Trainer(other, images, results_folder=str(tmp_path / "run"), resume=True)
    assert (tmp_path / "run" / "config.json").read_bytes() == config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_num_steps": 0}, "steps 0 must be at least 1"),
        ({"train_batch_size": 0}, "batch_size 0 must be at least 1"),
        ({"gradient_accumulate_every": 0}, "gradient_accumulate_every 0 must be at least 1"),
        ({"train_lr": 0.0}, "train_lr 0.0 must be positive"),
        ({"max_grad_norm": -1.0}, "max_grad_norm -1.0 must be positive"),
        ({"adam_betas": (0.9, 1.0)}, r"adam_betas \(0.9, 1.0\) must be at least 0, less than 1"),
        ({"ema_decay": 1.1}, "ema_decay 1.1 must be from 0 to 1"),
        ({"warmup_steps": -1}, "warmup_steps -1 must not be negative"),
        ({"seed": -1}, "seed -1 must not be negative"),
    ],
)
def test_options_out_of_range_are_refused(
    quick: Quick, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        quick(**options)
    assert not (tmp_path / "run").exists()
