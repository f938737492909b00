"""A trainer whose step and samples take no time, for tests of the loop around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.kernels.waiting import AdaptiveSleep, Waiter
from ddpm_mindspore.accelerated.reports import pictures

SIZE = (4, 8)
# Everything that draws random numbers, so that resuming has to get all of it right.
NET: dict[str, Any] = {
    "dim": 8,
    "dim_mults": (1,),  # one level compiles twice as fast as two
    "channels": 2,
    "attn_heads": 1,
    "attn_dim_head": 8,
    "self_condition": True,
    "dropout": 0.1,
    "random_fourier_features": True,
}
DIFFUSION: dict[str, Any] = {"timesteps": 20, "sampling_timesteps": 2, "loss_type": "huber"}


def make_images(count: int = 10) -> NDArray[np.uint8]:
    """Smooth pictures, two channels: something to learn."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:4, 0:8] / 8
    phases = rng.uniform(0, 6, (count, 2, 1, 1))
    return np.asarray(127.5 + 120 * np.sin(6 * x + 3 * y + phases), np.uint8)


def assert_same(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


class FakeStep:
    """Adds the step to the average, unless ``wrong`` has the loss and the norm that came of it.

    Calls ``before(step)`` and ``at[step]`` first. Notes the batches.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.at, self.seen = trainer, dict[int, Callable[[], Any]](), []
        self.before: Callable[[int], object] = lambda step: None
        self.wrong: dict[int, tuple[float, float]] = {}
        trainer._train_step = self  # type: ignore[assignment]

    def waiter(self) -> Waiter:
        return AdaptiveSleep()

    def __call__(self, batches: Sequence[Any], *_: Any) -> tuple[Tensor, Tensor]:
        step, optimizer = self.trainer.step, self.trainer._optimizer
        self.before(step)
        self.at.get(step, lambda: None)()
        self.seen.append((step, batches))
        if step not in self.wrong:
            ops.assign(optimizer.ema, optimizer.ema + step)
        loss, norm = self.wrong.get(step, (1.0 / step, 2.0))
        return Tensor(np.float32(loss)), Tensor(np.float32(norm))


Quick = Callable[..., tuple[Trainer, FakeStep]]


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Quick:
    """Make trainers whose steps and samples take no time."""

    def sample(self: GaussianDiffusion, batch_size: int, **options: Any) -> NDArray[np.float32]:
        for _ in range(3):
            options["on_step"]()
        return np.full((options["num_samples"], *self.shape), 0.5, np.float32)

    monkeypatch.setattr(GaussianDiffusion, "sample", sample)
    monkeypatch.setattr(pictures, "loss_curve", lambda *_: None)  # half a second each

    def make(data: Any = None, **options: Any) -> tuple[Trainer, FakeStep]:
        given = {
            "train_num_steps": 7,
            "train_batch_size": 4,
            "save_and_sample_every": 3,
            "keep_last": 4,
            "results_folder": str(tmp_path / "run"),
        } | options
        data = make_images() if data is None else data
        net = {**NET, "channels": data.shape[1] if isinstance(data, np.ndarray) else 1}
        diffusion = GaussianDiffusion(Unet(**net), image_size=SIZE, **DIFFUSION)
        trainer = Trainer(diffusion, data, **given)
        return trainer, FakeStep(trainer)

    return make


def saved(trainer: Trainer) -> list[int]:
    return sorted(int(p.name[5:]) for p in trainer.run.path.glob("checkpoints/step-*"))


def drawn(trainer: Trainer) -> list[int]:
    return sorted(int(p.stem[5:]) for p in trainer.run.path.glob("samples/step-*.png"))
