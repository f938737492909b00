"""Prior preservation: what a model has drawn itself is every second picture of an update."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.presets import SCENES
from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.data.scenes import SceneImages
from ddpm_mindspore.accelerated.data.texts import texts
from ddpm_mindspore.accelerated.networks.table import build_network
from ddpm_mindspore.accelerated.process import to_uint8
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, load_newest, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import open_run
from ddpm_mindspore.accelerated.runs.vocabulary import write_tokenizer
from ddpm_mindspore.accelerated.system.distributed import World
from ddpm_mindspore.accelerated.trainer.batches import Batches
from ddpm_mindspore.accelerated.trainer.prior import Prior
from ddpm_mindspore.reference.levels import WEIGHT
from ddpm_mindspore.reference.text.tokenizer import shipped

from .test_lora import NETWORK as WITH_ATTENTION

NETWORK = replace(WITH_ATTENTION, attention=False)
SAYS = ("左边是红色的三", "右边是蓝色的八", "上面是黄色的五")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with a checkpoint of a network that has learned nothing."""
    folder = tmp_path_factory.mktemp("base") / "run"
    run, tokenizer = RunFolder(folder), shipped().only(texts("scenes"))
    folder.mkdir()
    config = replace(SCENES, network=replace(NETWORK, vocabulary=tokenizer.size))
    run.config.write(config, 1, {"count": 6, "path": None})
    write_tokenizer(run, tokenizer)
    arrays = build_network(config.network, seed=3).arrays()
    arrays = {n: a if a.any() else a + 0.1 for n, a in arrays.items()}
    save(folder, Checkpoint(5, {"ema": arrays, "model": arrays}, {}))
    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of a concept, and texts without it."""
    path = tmp_path_factory.mktemp("concept")
    for i in range(2):
        Image.new("RGB", (16, 16), (255 * i, 0, 255)).save(path / f"{i}.png")
    rows = "".join(f"{i}.png,左边是紫色的三\n" for i in range(2))
    (path / "list.csv").write_text(f"dir,text\n{rows}", encoding="utf-8")
    (path / "prior.txt").write_text("\n".join(SAYS) + "\n\n", encoding="utf-8")
    return path


def words(base: RunFolder, folder: Path, *more: str) -> list[str]:
    return [
        *("train", "--from", str(base.path), "--data", str(folder), "--caption-encoding", "utf-8"),
        *("--batch-size", "4", "--save-every", "2", "--steps", "2", "--num-samples", "2"),
        *("--sampling-timesteps", "2", "--lora-rank", "2", "--prior", str(folder / "prior.txt")),
        *("--prior-number", "7", *more),
    ]


def batches(weight: float, seed: int = 0, size: int = 6, world: World | None = None) -> Batches:
    """Those of scenes, with a prior of pictures of one brightness each."""
    network = build_network(replace(NETWORK, vocabulary=shipped().size))
    diffusion = GaussianDiffusion(network, image_size=16)
    diffusion.tokenizer = shipped()
    config = TrainerConfig(train_batch_size=size, seed=seed)
    made = Batches(SceneImages(count=50), diffusion, config, *([world] if world else []))
    own = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1, 1) * np.ones((5, 3, 16, 16), np.uint8)
    made.prior = Prior(own, SAYS, weight)
    return made


def test_every_second_picture_is_one_of_its_own() -> None:
    made, plain = batches(0.25), batches(0.25)
    plain.prior = None
    tokenizer = shipped()
    said = [*tokenizer.rows(("", *SAYS), NETWORK.length)]
    met = set()
    for step in range(1, 9):
        (batch,), (other,) = made(step), plain(step)
        np.testing.assert_array_equal(batch.x_0[::2], other.x_0[::2])
        np.testing.assert_array_equal(batch.levels[::2], other.levels[::2])
        assert batch.condition is not None and other.condition is not None
        np.testing.assert_array_equal(batch.condition[::2], other.condition[::2])
        for x, ids in zip(batch.x_0[1::2], batch.condition[1::2], strict=True):
            number = int(to_uint8((x + 1) / 2).flat[0]) - 1
            met.add(number)
            np.testing.assert_array_equal(x, x.flat[0])
            text = said[1 + number % 3]
            assert (ids == text).all() or (ids == said[0]).all()
        expected = other.levels[1::2].copy()
        expected[:, WEIGHT] *= 0.25
        np.testing.assert_array_equal(batch.levels[1::2], expected)
        np.testing.assert_array_equal(batch.noise, other.noise)
    assert met == set(range(5))


def test_processes_share_what_one_would_see() -> None:
    (whole,) = batches(0.5, size=6)(4)
    for rank in range(2):
        (part,) = batches(0.5, size=3, world=World(rank, 2))(4)
        own = slice(3 * rank, 3 * rank + 3)
        np.testing.assert_array_equal(part.x_0, whole.x_0[own])
        np.testing.assert_array_equal(part.levels, whole.levels[own])


@pytest.mark.nightly
def test_its_own_pictures_are_drawn_by_the_weights_it_starts_from(
    base: RunFolder, folder: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    assert main(words(base, folder, "--results-folder", str(run))) == 0
    drawn = np.load(run / "prior" / "samples.npy")
    opened = open_run(base.path)
    asked = [SAYS[i % 3] for i in range(7)]
    expected = to_uint8(opened.diffusion.sample(7, condition=asked, sampling_timesteps=2))
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    known = json.loads((run / "prior" / "drawn.json").read_text(encoding="utf-8"))["kept"]
    assert known["texts"] == list(SAYS)


@pytest.mark.nightly
def test_an_update_is_replayed_with_its_own_pictures(
    base: RunFolder, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, texts = tmp_path / "run", tmp_path / "prior.txt"
    shutil.copy(folder / "prior.txt", texts)
    start = words(base, folder, "--steps", "4", "--results-folder", str(run))
    assert main([*start, "--prior", str(texts)]) == 0
    texts.unlink()  # the run has them
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    capsys.readouterr()
    for step in (3, 2):  # behind the first checkpoint, and before there is any
        assert main(["replay", str(run), "--step", str(step)]) == 0
        said = capsys.readouterr().out
        assert f"loss {rows[step - 1]['loss']:.4g}"[:9] in said
        lines = [line.split() for line in said.splitlines() if line[:8].strip().isdigit()]
        assert [line[1] for line in lines][1::2] == ["own", "own"]
    # Had other versions drawn them, they would not be drawn anew either.
    kept = json.loads((run / "prior" / "drawn.json").read_text(encoding="utf-8"))
    kept["kept"]["versions"] = {}
    (run / "prior" / "drawn.json").write_text(json.dumps(kept), encoding="utf-8")
    assert main(["replay", str(run), "--step", "2"]) == 0
    assert json.loads((run / "prior" / "drawn.json").read_text(encoding="utf-8")) == kept


@pytest.mark.slow
def test_stopped_anywhere_it_goes_on_with_the_same_pictures(
    base: RunFolder,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from ddpm_mindspore.accelerated.trainer import prior

    monkeypatch.setattr(prior, "AT_ONCE", 2)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    four = ["--steps", "4"]
    assert main(words(base, folder, *four, "--results-folder", str(whole))) == 0
    with monkeypatch.context() as patched:
        calls = 0
        sample = GaussianDiffusion.sample

        def interrupted(self: Any, *args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 3:
                raise KeyboardInterrupt
            return sample(self, *args, **options)

        patched.setattr(GaussianDiffusion, "sample", interrupted)
        assert main(words(base, folder, *four, "--results-folder", str(parts))) == 130
    assert "4 of 7 pictures are kept; the same command goes on" in capsys.readouterr().err
    np.testing.assert_array_equal(
        np.load(parts / "prior" / "samples.npy"), np.load(whole / "prior" / "samples.npy")[:4]
    )
    assert main(words(base, folder, "--results-folder", str(parts))) == 0
    resume = ["train", "--resume", "--results-folder", str(parts), "--steps", "4"]
    assert main(resume) == 0
    one, other = load_newest(whole).checkpoint, load_newest(parts).checkpoint
    assert one.step == other.step == 4
    for group, tensors in one.tensors.items():
        for name, array in tensors.items():
            np.testing.assert_array_equal(other.tensors[group][name], array)
    shutil.rmtree(parts / "prior")
    assert main([*resume[:-1], "6"]) == 2
    assert "before its first update, cannot be read" in capsys.readouterr().err


def test_what_it_cannot_draw_is_refused(
    base: RunFolder, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prior.txt"
    start = words(base, folder, "--results-folder", str(tmp_path / "run"), "--prior", str(path))
    for content, told in (
        (None, "cannot be read"),
        ("\n\n", "has no text"),
        ("左边是紫色的三", "says '紫', which the weights that the run starts from have never met"),
    ):
        if content is not None:
            path.write_text(content, encoding="utf-8")
        assert main(start) == 2
        assert told in capsys.readouterr().err
    path.write_text(SAYS[0], encoding="utf-8")
    assert main([*start, "--batch-size", "1"]) == 2
    assert "batch_size 1 has no place for a prior picture" in capsys.readouterr().err
    assert not (tmp_path / "run" / "prior").exists()
    with pytest.raises(ValueError, match=r"prior 'a.txt' is drawn by a run: name it \(--from\)"):
        TrainerConfig(prior="a.txt")
