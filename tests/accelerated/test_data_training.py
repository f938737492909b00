"""The trainer's options for data, seen in the batches that it trains on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tqdm import tqdm

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.data import Crop, Items, open_images, read_batch, report
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.system.distributed import World

NET: dict[str, Any] = {"dim": 8, "dim_mults": (1,), "channels": 3}
SEEN = 4


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number in range(12):
        folder = tmp_path / "photos" / ("cat", "dog", "emu")[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"


def make(photos: Path, **options: Any) -> Trainer:
    given = {"train_batch_size": 5, "seed": 3, "results_folder": str(photos.parent / "run")}
    diffusion = GaussianDiffusion(Unet(**NET), image_size=8, timesteps=10)
    return Trainer(diffusion, str(photos), **(given | options))


def seen(trainer: Trainer) -> np.ndarray:
    """The images of the next few updates."""
    steps = range(trainer.step + 1, trainer.step + 1 + SEEN)
    batches = [trainer._batches(step)[0].x_0 for step in steps]
    return to_uint8(np.concatenate([np.asarray(x_0) for x_0 in batches]) / 2 + 0.5)


def train_nothing(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train no step, and save it."""
    monkeypatch.setattr(trainer, "_loop", lambda *_: trainer._save(trainer._snapshot()))
    trainer.train()


@pytest.mark.parametrize("streamed", [False, True])
def test_the_options_reach_the_images(photos: Path, streamed: bool) -> None:
    options: dict[str, Any] = {"data_memory_gb": 0.0} if streamed else {}
    cache = str(photos.parent / "cache")
    squeezed = make(photos, crop="none", only_class=["dog", "emu"], data_cache=cache, **options)
    assert squeezed.config.only_class == ("dog", "emu") and len(squeezed.images) == 8
    assert list(squeezed.images.labels) == [0] * 4 + [1] * 4
    truth = open_images(photos, (8, 8), 3, crop=Crop("none"), only_class=["dog", "emu"])
    assert np.array_equal(seen(squeezed), read_batch(truth, 3, 0, 5 * SEEN))
    assert len(list(Path(cache).iterdir())) == 1


def test_random_crops_reach_the_images(photos: Path) -> None:
    trainer = make(photos, crop="random_resized", crop_min_share=0.6)
    truth = open_images(photos, (8, 8), 3, crop=Crop("random_resized", 0.6))
    assert np.array_equal(seen(trainer), read_batch(truth, 3, 0, 5 * SEEN))


@pytest.mark.parametrize("gb", [2.0, 0.0])
def test_a_run_goes_on_in_its_order_when_files_have_broken(
    photos: Path, gb: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make(photos, data_memory_gb=gb)
    before = seen(first)
    train_nothing(first, monkeypatch)
    broken = photos / "dog/4.png"
    [of_it] = open_images(photos, (8, 8), 3).batch(
        np.array([list(first.images.names).index("dog/4.png")])
    )
    broken.write_bytes(b"no picture any more")
    again = make(photos, data_memory_gb=gb, resume=True)
    same = np.array([not np.array_equal(image, of_it) for image in before])
    assert 0 < (~same).sum() <= 2
    after = seen(again)
    assert np.array_equal(after[same], before[same])
    assert not (after[~same] == of_it).all()
    assert [name for name, _ in again.images.skipped] == [str(broken)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop": "middle"}, "crop 'middle'"),
        ({"crop_min_share": 0.0}, r"crop_min_share 0\.0 must be more than 0, at most 1"),
        ({"data_memory_gb": -1.0}, r"data_memory_gb -1\.0 must not be negative"),
        ({"data_memory_gb": float("nan")}, "data_memory_gb nan"),
    ],
)
def test_bad_options_are_refused_before_anything_is_opened(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainerConfig(**options)


def test_each_process_names_the_images_that_break_for_it(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make(photos, data_memory_gb=0.0)
    trainer.world = World(rank=1)  # as in all processes but the first
    log = trainer._log(tqdm(disable=True))
    (photos / "dog" / "4.png").write_bytes(b"no picture any more")
    seen(trainer)
    log.close()
    assert "skipped 1 file that cannot be decoded: " in (said := capsys.readouterr().out)
    assert str(Path("dog", "4.png")) in said
    assert not (trainer.run.path / "progress.json").exists()
    assert not (trainer.run.path / "skipped.jsonl").exists()


def test_what_breaks_while_training_is_named_in_the_file_too(photos: Path) -> None:
    (photos / "notes.heic").write_bytes(bytes(range(256)))
    trainer = make(photos, data_memory_gb=0.0)
    report(trainer.images, trainer.run.path)
    log = trainer._log(tqdm(disable=True))
    (photos / "dog" / "4.png").write_bytes(b"no picture any more")
    seen(trainer)
    log.close()
    lines = (trainer.run.path / "skipped.jsonl").read_text().splitlines()
    assert [Path(json.loads(line)["path"]).name for line in lines] == ["notes.heic", "4.png"]
    assert json.loads((trainer.run.path / "progress.json").read_text())["skipped"] == 1


def test_a_run_inside_its_data_does_not_train_on_itself(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = photos / "results"
    first = make(photos, results_folder=str(run))
    train_nothing(first, monkeypatch)
    (run / "samples").mkdir(exist_ok=True)
    Image.new("RGB", (64, 64)).save(run / "samples" / "step-00000001.png")
    again = make(photos, results_folder=str(run), resume=True)
    assert list(again.images.names) == list(first.images.names) and len(again.images) == 12
    assert np.array_equal(seen(again), seen(first))
    other = make(photos, results_folder=str(photos.parent / "other"))
    assert len(other.images) == 12
    assert [item.why for item in other.images.left_out] == ["a run of this program"]


@pytest.mark.parametrize("gb", [2.0, 0.0])
def test_the_real_images_beside_the_drawn_ones_are_of_all_classes(
    photos: Path, gb: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[np.ndarray] = []
    for resume in (False, True):
        trainer = make(photos, num_samples=3, data_memory_gb=gb, resume=resume)

        def note(real: Items, _: Any, trainer: Trainer = trainer) -> None:
            shown.append(real.x)
            trainer._save(trainer._snapshot())

        monkeypatch.setattr(trainer, "_loop", note)
        trainer.train()
    truth = open_images(photos, (8, 8), 3)
    assert list(truth.labels[[2, 6, 10]]) == [0, 1, 2]
    assert np.array_equal(shown[0], truth.batch(np.array([2, 6, 10])))
    assert np.array_equal(shown[0], shown[1])
