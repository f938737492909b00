"""What the loop shows the step: whose images, in which order, with which noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.randomness import batch_indices

from .quick_trainer import (
    SIZE,
    Quick,
    drawn,
    make_images,
)


def test_every_image_is_seen_once_an_epoch_in_the_order_of_the_seed(quick: Quick) -> None:
    images = make_images(10)
    trainer, step = quick(images, gradient_accumulate_every=2, seed=9)
    trainer.train()
    shown = np.concatenate([b.x_0 for _, batches in step.seen for b in batches])
    order = batch_indices(9, 10, 0, 7 * 8)
    np.testing.assert_allclose(shown, images[order] / 127.5 - 1, atol=1e-6)
    assert [[len(b.x_0) for b in batches] for _, batches in step.seen] == [[4, 4]] * 7
    # No number is drawn twice: not for two images of a step, and not for two steps.
    noise = np.concatenate([b.noise for _, batches in step.seen for b in batches])
    assert len(np.unique(noise.reshape(len(noise), -1), axis=0)) == 7 * 8
    masks = np.concatenate([b.dropout_masks[0] for _, batches in step.seen for b in batches])
    assert len(np.unique(masks.reshape(len(masks), -1), axis=0)) == 7 * 8
    self_cond_mask = np.concatenate([b.self_cond_mask for _, batches in step.seen for b in batches])
    assert 0.25 < self_cond_mask.mean() < 0.75
    times = np.concatenate([b.t for _, batches in step.seen for b in batches])
    assert times.min() >= 1 and times.max() <= 20 and len(np.unique(times)) > 10


def test_half_of_the_images_are_mirrored(quick: Quick) -> None:
    images = make_images(10)
    trainer, step = quick(images, augment_horizontal_flip=True, train_num_steps=20)
    trainer.train()
    shown = np.concatenate([b.x_0 for _, (b,) in step.seen])
    plain = images[batch_indices(0, 10, 0, 80)] / 127.5 - 1
    same = np.isclose(shown, plain, atol=1e-6).all(axis=(1, 2, 3))
    mirrored = np.isclose(shown, plain[..., ::-1], atol=1e-6).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all() and 20 < mirrored.sum() < 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine good images in several formats and sizes, and one that is broken."""
    path = tmp_path / "photos"
    (path / "deeper").mkdir(parents=True)
    rng = np.random.default_rng(2)
    for i in range(9):
        pixels = rng.integers(0, 256, (10 + i, 30 - i, 3), np.uint8)
        place = path if i % 2 else path / "deeper"
        Image.fromarray(pixels).save(place / f"{i}.{'png' if i % 3 else 'jpg'}")
    (path / "broken.png").write_bytes((path / "1.png").read_bytes()[:60])
    return path


def test_a_folder_of_files_is_trained_on_and_bad_ones_are_named(
    quick: Quick, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, step = quick(folder)
    assert len(trainer.images) == 9 and trainer.images.shape == (1, *SIZE)
    assert trainer.train()
    said = capsys.readouterr().out
    assert f"left out: 1 that cannot be decoded ({folder}/broken.png: " in said
    assert f"all are named in {trainer.run.path}/skipped.jsonl" in said
    [line] = (trainer.run.path / "skipped.jsonl").read_text().splitlines()
    assert json.loads(line)["path"] == f"{folder}/broken.png"
    shown = np.concatenate([b.x_0 for _, (b,) in step.seen])
    assert shown.shape == (28, 1, *SIZE) and shown.dtype == np.float32
    assert shown.min() >= -1 and shown.max() <= 1 and shown.std() > 0.05
    assert trainer.run.config.read().data == str(folder)
    with pytest.raises(ValueError, match=r"broken\.png' cannot be decoded: .*"):
        quick(folder, strict=True, results_folder=str(folder.parent / "other"))


def test_the_digits_are_there_by_name(quick: Quick) -> None:
    trainer, step = quick("digits", train_num_steps=1)
    assert len(trainer.images) == 1797
    trainer.train()
    assert step.seen[0][1][0].x_0.shape == (4, 1, *SIZE)


def test_a_mindspore_dataset_is_read(quick: Quick) -> None:
    import mindspore.dataset as ds

    pixels = make_images()[:, 0]
    dataset = ds.GeneratorDataset([(image,) for image in pixels], ["image"], shuffle=False)
    trainer, step = quick(dataset, train_num_steps=3)
    assert trainer.train()
    shown = np.concatenate([b.x_0 for _, (b,) in step.seen])[:, 0]
    assert len(np.unique(shown[:10], axis=0)) == 10  # one epoch
    assert trainer.run.config.read().data == "GeneratorDataset"


def test_floats_are_shown_beside_samples_too(quick: Quick) -> None:
    images = np.random.default_rng(0).uniform(size=(5, 3, *SIZE)).astype(np.float32)
    trainer, step = quick(images)
    trainer.train()
    assert drawn(trainer) == [3, 6, 7]
    shown = np.concatenate([b.x_0 for _, (b,) in step.seen])
    np.testing.assert_allclose(shown[:4], 2 * images[batch_indices(0, 5, 0, 4)] - 1, atol=1e-6)
