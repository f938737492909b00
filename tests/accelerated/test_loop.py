"""The loop around a step that computes nothing: what is saved, drawn and written down, and when."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_mindspore.accelerated import GaussianDiffusion

from .quick_trainer import (
    Quick,
    assert_same,
    drawn,
    saved,
)


@pytest.mark.parametrize(
    ("steps", "every", "expected"),
    [(7, 3, [3, 6, 7]), (6, 3, [3, 6]), (2, 1, [1, 2]), (1, 5, [1])],
)
def test_checkpoints_and_samples_are_made_when_due_and_at_the_end(
    quick: Quick, steps: int, every: int, expected: list[int]
) -> None:
    trainer, _ = quick(train_num_steps=steps, save_and_sample_every=every)
    assert trainer.train()
    assert saved(trainer) == drawn(trainer) == expected
    assert len(trainer.run.metrics.read()) == steps


def test_old_checkpoints_are_pruned_as_configured(quick: Quick) -> None:
    trainer, _ = quick(save_and_sample_every=1, keep_last=2, keep_every=3)
    assert trainer.train() and saved(trainer) == [3, 6, 7]
    assert drawn(trainer) == [1, 2, 3, 4, 5, 6, 7]


def test_progress_tells_where_the_time_went(quick: Quick) -> None:
    trainer, _ = quick()
    trainer.train()
    progress = trainer.run.progress.read()
    assert (progress["step"], progress["steps"], progress["skipped"]) == (7, 7, 0)
    assert progress["seconds"].keys() == {"steps", "compiling", "data", "drawing", "saving"}
    assert progress["seconds"]["saving"] > 0 and progress["images_per_second"] > 0
    quick(resume=True, train_num_steps=8)[0].train()
    longer = trainer.run.progress.read()
    assert longer["step"] == 8
    assert all(longer["seconds"][name] >= value for name, value in progress["seconds"].items())


def test_metrics_for_tensorboard_are_those_of_the_run(quick: Quick) -> None:
    pytest.importorskip("tensorboardX")
    trainer, _ = quick(tensorboard=True)
    assert trainer.train()
    (file,) = trainer.run.tensorboard.iterdir()
    data = file.read_bytes()
    assert all(name in data for name in (b"loss", b"grad_norm", b"lr", b"images_per_second"))


def test_samples_are_drawn_with_the_average(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = []

    def sample(self: GaussianDiffusion, batch_size: int, **options: Any) -> NDArray[np.float32]:
        weights.append(self.model.arrays()["init_conv.weight"])
        assert (batch_size, options["num_samples"], self.seed) == (4, 6, 9)
        return np.zeros((6, *self.shape), np.float32)

    monkeypatch.setattr(GaussianDiffusion, "sample", sample)
    trainer, _ = quick(num_samples=6, seed=9)
    start = trainer.diffusion.model.arrays()["init_conv.weight"]
    trainer.train()
    assert drawn(trainer) == [3, 6, 7]
    for weight, step in zip(weights, (3, 6, 7), strict=True):
        np.testing.assert_allclose(weight, start + sum(range(step + 1)), rtol=1e-6)


def test_the_average_can_be_had_at_any_time(quick: Quick) -> None:
    trainer, _ = quick(train_num_steps=2)
    start = trainer.diffusion.model.arrays()
    assert_same(trainer.ema_diffusion.model.arrays(), start)
    trainer.train()
    average = trainer.ema_diffusion.model.arrays()
    name = "init_conv.weight"
    np.testing.assert_array_equal(average[name], start[name] + 1 + 2)
    assert_same(trainer.diffusion.model.arrays(), start)
    again, _ = quick(train_num_steps=2, resume=True)
    assert_same(again.ema_diffusion.model.arrays(), average)
    assert again.train()  # nothing left to do
