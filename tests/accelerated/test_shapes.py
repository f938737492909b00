"""Data of any shape (C, *spatial), and what is known of an item, from the data to the network.

The stand-in network is a few lines: the library asks no more of one than ``networks/network.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer
from ddpm_mindspore.accelerated.data import open_images, read_items
from ddpm_mindspore.accelerated.networks.network import Network
from ddpm_mindspore.reference.config import UnetConfig

Array = NDArray[Any]


@dataclass(frozen=True)
class AnyShape(UnetConfig):
    def check_image_size(self, image_size: tuple[int, ...]) -> None:
        pass


class StandIn(Network):
    """x0_hat = offset[channel] + offset[label], whatever x_t is."""

    def __init__(self, dim: int = 4, **options: Any) -> None:
        super().__init__()
        self.config = AnyShape(dim=dim, **options)
        channels = self.config.channels
        self.offset = Parameter(Tensor(np.zeros(channels, np.float32)), name="offset")

    def construct(self, x: Tensor, time: Tensor, x_self_cond: Any = None, masks: Any = None) -> Any:
        return self.offset.reshape((1, -1) + (1,) * (x.ndim - 2)) + 0.0 * x


class Told(StandIn):
    """The same with an offset for each of three classes."""

    conditional = True

    def __init__(self, dim: int = 4, **options: Any) -> None:
        super().__init__(dim, **options)
        self.of_class = Parameter(Tensor(np.zeros((3, 1), np.float32)), name="of_class")

    def construct(
        self,
        x: Tensor,
        time: Tensor,
        x_self_cond: Any = None,
        masks: Any = None,
        condition: Any = None,
    ) -> Any:
        known = ms.ops.gather(self.of_class, condition, 0)
        return super().construct(x, time) + known.reshape((-1,) + (1,) * (x.ndim - 1))


def train(
    model: Network, size: tuple[int, ...], data: Any, folder: Path, **options: Any
) -> tuple[Trainer, GaussianDiffusion]:
    diffusion = GaussianDiffusion(
        model, image_size=size, timesteps=20, sampling_timesteps=4, objective="pred_x0"
    )
    given = {
        "train_num_steps": 60,
        "train_batch_size": 8,
        "train_lr": 0.05,
        "ema_update_every": 1,
        "ema_update_after_step": 0,
        "ema_decay": 0.5,
        "save_and_sample_every": 60,
        "num_samples": 5,
    }
    trainer = Trainer(diffusion, data, results_folder=str(folder), **given | options)
    assert trainer.train()
    return trainer, diffusion


@pytest.mark.parametrize("size", [(6,), ()], ids=["sequences", "vectors"])
def test_sequences_and_vectors_are_trained_on_and_drawn(
    tmp_path: Path, size: tuple[int, ...]
) -> None:
    level = np.array([0.2, 0.7, 0.5], np.float32)
    shape = (12, 3, *size)
    data = np.broadcast_to(level.reshape(1, 3, *(1,) * len(size)), shape).astype(np.float32)
    trainer, diffusion = train(StandIn(channels=3), size, data, tmp_path / "run")
    assert diffusion.shape == (3, *size) == trainer.images.shape
    losses = [row["loss"] for row in trainer.run.metrics.read()]
    assert losses[-1] < 0.05 * losses[0]
    drawn = trainer.ema_diffusion.sample(4)
    assert drawn.shape == (4, 3, *size)
    np.testing.assert_allclose(drawn.reshape(4, 3, -1).mean((0, 2)), level, atol=0.05)
    written = np.load(tmp_path / "run" / "samples" / "step-00000060.npy")
    np.testing.assert_array_equal(written, trainer.ema_diffusion.sample(5))
    assert np.isfinite(diffusion(data[:4]).asnumpy())
    again = Trainer(
        diffusion, data, results_folder=str(tmp_path / "run"), resume=True, train_num_steps=60
    )
    assert again.step == 60 and again.train()  # the samples are there: nothing is drawn


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((4, 3, 5), np.uint8), r"ask for \(N, C, L\) = \(N, 3, 6\)"),
        ("digits", r"image_size \(6,\) is not the height and width of images"),
    ],
)
def test_data_of_another_shape_is_refused(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        train(StandIn(channels=3), (6,), data, tmp_path / "run")


CLASSES = ("ape", "bee", "cat")
LEVELS = (30, 120, 220)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A folder of grey images for each class, of that class's level, and one that is broken."""
    for name, level in zip(CLASSES, LEVELS, strict=True):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(5):
            image = Image.fromarray(np.full((4, 4), level, np.uint8))
            image.save(tmp_path / "data" / name / f"{i}.png")
    (tmp_path / "data" / "bee" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return tmp_path / "data"


@pytest.mark.parametrize("limit", [2**31, 0], ids=["in memory", "streamed"])
def test_an_item_has_the_label_of_the_image_that_is_shown(folders: Path, limit: int) -> None:
    names = [f"{name}/{i}.png" for name in CLASSES for i in range(5)]
    images = open_images(folders, (4, 4), 1, known=names, memory_limit=limit)
    assert images.places == 15 and list(images.classes) == list(CLASSES)
    for start in range(0, 60, 7):  # the broken one has another in its place, of any class
        x, labels, *_ = read_items(images, 3, start, 7)
        assert labels is not None
        assert x[:, 0, 0, 0].tolist() == [LEVELS[label] for label in labels]


def test_a_label_travels_from_a_class_folder_to_the_denoiser(folders: Path, tmp_path: Path) -> None:
    trainer, diffusion = train(
        Told(channels=1), (4, 4), str(folders), tmp_path / "run", train_num_steps=150,
        save_and_sample_every=150, gradient_accumulate_every=2,
    )  # fmt: skip
    expected = np.array(LEVELS) / 255
    drawn = trainer.ema_diffusion.sample(2, num_samples=5, condition=np.array([2, 0, 1, 0, 2]))
    np.testing.assert_allclose(drawn.mean((1, 2, 3)), expected[[2, 0, 1, 0, 2]], atol=0.05)
    right, wrong = (
        float(diffusion(np.full((3, 1, 4, 4), 30, np.uint8), np.full(3, label)).asnumpy())
        for label in (0, 2)
    )
    assert right < 0.1 * wrong
    mixed = diffusion.interpolate(
        np.zeros((1, 1, 4, 4), np.uint8), np.full((1, 1, 4, 4), 255, np.uint8), condition=[1]
    )
    assert mixed.mean() == pytest.approx(expected[1], abs=0.1)


def test_a_condition_that_is_missing_or_not_taken_is_refused(tmp_path: Path, folders: Path) -> None:
    told = GaussianDiffusion(Told(channels=1), image_size=4, timesteps=5)
    with pytest.raises(ValueError, match="condition is missing: the network is told"):
        told.sample(2)
    with pytest.raises(ValueError, match=r"condition of shape \(3,\) must be \(2, ...\)"):
        told.sample(2, condition=np.arange(3))
    untold = GaussianDiffusion(StandIn(channels=1), image_size=4, timesteps=5)
    with pytest.raises(ValueError, match=r"condition of shape \(2,\) is for a network that takes"):
        untold.sample(2, condition=np.arange(2))
    with pytest.raises(ValueError, match="data has no classes"):
        train(Told(channels=1), (4, 4), np.zeros((4, 1, 4, 4), np.uint8), tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
