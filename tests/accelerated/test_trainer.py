"""The trainer: a real network trained, killed and resumed, and the loop around a stand-in for it.

Compiling a training step takes most of the time here, so three real runs are shared by all tests
that look at their results; what only concerns the loop uses a step that computes nothing.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from mindspore import Tensor, ops
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.kernels.waiting import AdaptiveSleep, Waiter
from ddpm_mindspore.accelerated.optimizer import ema_weight, learning_rate
from ddpm_mindspore.accelerated.randomness import batch_indices
from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, load
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.names import FILES, FOLDERS
from ddpm_mindspore.accelerated.runs.provenance import facts
from ddpm_mindspore.accelerated.trainer import state as train_state

LOSS_CURVE = pictures.loss_curve
SIZE = (4, 8)
STEPS = 6

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
TRAINING: dict[str, Any] = {
    "train_batch_size": 4,
    "gradient_accumulate_every": 2,
    "train_lr": 3e-3,
    "warmup_steps": 4,
    "ema_decay": 0.7,
    "ema_update_every": 2,
    "ema_update_after_step": 2,
    "augment_horizontal_flip": True,
    "num_samples": 6,
    "keep_last": None,
    "seed": 11,
}


def make_diffusion(seed: int = 4) -> GaussianDiffusion:
    return GaussianDiffusion(Unet(**NET, seed=seed), image_size=SIZE, seed=seed, **DIFFUSION)


def make_images(count: int = 10) -> NDArray[np.uint8]:
    """Smooth pictures, two channels: something to learn."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:4, 0:8] / 8
    phases = rng.uniform(0, 6, (count, 2, 1, 1))
    return np.asarray(127.5 + 120 * np.sin(6 * x + 3 * y + phases), np.uint8)


class Run(NamedTuple):
    trainer: Trainer
    reached: bool
    folder: Path

    def tensors(self, step: int) -> dict[str, dict[str, NDArray[np.float32]]]:
        return load(self.folder / "checkpoints" / f"step-{step:08d}").tensors

    def metrics(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "metrics.jsonl").open()]


def train(folder: Path, **options: Any) -> Run:
    given = {**TRAINING, "train_num_steps": STEPS, "save_and_sample_every": 1} | options
    trainer = Trainer(make_diffusion(), make_images(), results_folder=str(folder), **given)
    return Run(trainer, trainer.train(), folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Train for six steps, two gradients each, with a checkpoint and samples at every step."""
    return train(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="module")
def resumed(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Go on with a copy of that run as it was after three steps, killed within the fourth."""
    folder = tmp_path_factory.mktemp("runs") / "resumed"
    shutil.copytree(run.folder, folder)
    for path in [*folder.glob("checkpoints/*"), *folder.glob("samples/*")]:
        if int(path.stem.removeprefix("step-")) > 3:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text("".join(lines[:4]) + lines[4][:9])
    (folder / "checkpoints" / ".step-00000004.123.tmp").mkdir()
    # Another seed for the network: its parameters come from the checkpoint.
    options = {**TRAINING, "train_num_steps": STEPS, "save_and_sample_every": 1}
    trainer = Trainer(
        make_diffusion(seed=5), make_images(), results_folder=str(folder), resume=True, **options
    )
    assert trainer.step == 3
    return Run(trainer, trainer.train(), folder)


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """The same images and noise in one gradient a step, much longer; every sampling fails."""
    with pytest.MonkeyPatch.context() as patch:

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("no samples today")

        patch.setattr(GaussianDiffusion, "sample", fail)
        yield train(
            tmp_path_factory.mktemp("runs") / "at-once",
            train_batch_size=8,
            gradient_accumulate_every=1,
            train_num_steps=60,
            save_and_sample_every=STEPS,
        )


def assert_same(one: Any, other: Any) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_a_run_leaves_everything_behind(run: Run) -> None:
    assert run.reached and run.trainer.step == STEPS
    names = [f"step-{step:08d}" for step in range(1, STEPS + 1)]
    assert sorted(p.name for p in (run.folder / "checkpoints").iterdir()) == names
    assert sorted(p.stem for p in (run.folder / "samples").iterdir()) == names
    left = {"checkpoints", "config.json", "loss.png", "metrics.jsonl", "samples"}
    left |= {"progress.json", ".lock"}
    assert {p.name for p in run.folder.iterdir()} == left
    assert left <= {*FILES, *FOLDERS, ".lock"}  # as others' files of these names are refused
    for picture in [run.folder / "loss.png", *(run.folder / "samples").iterdir()]:
        with Image.open(picture) as image:
            assert image.format == "PNG" and min(image.size) > 20
    config = json.loads((run.folder / "config.json").read_text())
    assert config["data"] == "ndarray" and config["image_size"] == list(SIZE)
    assert config["unet"]["dropout"] == 0.1 and config["diffusion"]["loss_type"] == "huber"
    for name, value in TRAINING.items():
        assert config["trainer"][name] == value


def test_every_sample_is_drawn_with_the_average_of_its_time(run: Run) -> None:
    pictures_of = [(run.folder / f"samples/step-{s:08d}.png").read_bytes() for s in (1, 2, 4, 6)]
    assert pictures_of[0] != pictures_of[1] != pictures_of[2] != pictures_of[3]
    for step in (1, 6):
        with Image.open(run.folder / f"samples/step-{step:08d}.png") as picture:
            picture.load()
            said = picture.text  # type: ignore[attr-defined]
        config = RunFolder(run.folder).config.read()
        expected = facts(config, step, "average", config.diffusion, config.trainer.seed)
        assert said == {**expected, "Images": f"0-{config.trainer.num_samples - 1}"}


def test_an_average_that_is_none_yet_is_announced_with_its_pictures(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run.trainer._samples, "draw", lambda *_: None)
    said = []
    for step in (4, 5):
        monkeypatch.setattr(run.trainer, "step", step)
        run.trainer._draw(np.zeros(0), threading.Event())
        said.append(capsys.readouterr().out)
    assert said == [
        "the average at step 4 is still a copy of the parameters after step 3: "
        "it begins to average at step 5\n",
        "",
    ]


def test_metrics_tell_every_step(run: Run) -> None:
    rows = run.metrics()
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert all(set(row) == {"step", "loss", "grad_norm", "lr", "seconds"} for row in rows)
    assert [row["lr"] for row in rows] == [learning_rate(s, 3e-3, 4) for s in range(1, 7)]
    assert all(0.01 < row["loss"] < 10 and 0.001 < row["grad_norm"] < 100 for row in rows)
    assert all(row["seconds"] > 0 for row in rows)
    assert rows[0]["seconds"] == max(row["seconds"] for row in rows)  # it counts compilation


def test_the_average_follows_its_formula(run: Run) -> None:
    ema = make_diffusion().model.arrays()
    for step in range(1, STEPS + 1):
        tensors = run.tensors(step)
        weight = np.float32(ema_weight(step, 0.7, 2, 2))
        for name, array in tensors["model"].items():
            ema[name] = weight * ema[name] + (1 - weight) * array
            np.testing.assert_allclose(tensors["ema"][name], ema[name], rtol=1e-5, atol=1e-6)
    assert 0 < ema_weight(5, 0.7, 2, 2) < 1  # neither a copy nor untouched
    moved = np.abs(ema["init_conv.weight"] - run.tensors(STEPS)["model"]["init_conv.weight"])
    assert moved.max() > 1e-4


def test_the_average_is_drawn_with_and_the_trained_network_is_left_alone(run: Run) -> None:
    tensors = run.tensors(STEPS)
    assert_same(run.trainer.diffusion.model.arrays(), tensors["model"])
    assert_same(run.trainer.ema_diffusion.model.arrays(), tensors["ema"])
    assert run.trainer.ema_diffusion.seed == TRAINING["seed"]


def test_frequencies_that_are_not_trained_stay_and_are_shared(run: Run) -> None:
    name = "time_mlp.0.weights"
    start = make_diffusion().model.arrays()[name]
    for group in ("model", "ema"):
        np.testing.assert_array_equal(run.tensors(STEPS)[group][name], start)
    np.testing.assert_array_equal(run.trainer.ema_diffusion.model.arrays()[name], start)
    assert name not in run.tensors(STEPS)["adam_m"]


def test_a_resumed_run_is_the_run_bit_for_bit(run: Run, resumed: Run) -> None:
    assert resumed.reached
    for step in (4, 5, STEPS):
        one, other = run.tensors(step), resumed.tensors(step)
        assert one.keys() == other.keys() == {"model", "ema", "adam_m", "adam_v"}
        for group in one:
            assert_same(one[group], other[group])
    for step in (1, 4, STEPS):
        name = f"samples/step-{step:08d}.png"
        assert (run.folder / name).read_bytes() == (resumed.folder / name).read_bytes()
    one_rows, other_rows = (
        [{k: v for k, v in row.items() if k != "seconds"} for row in r.metrics()]
        for r in (run, resumed)
    )
    assert one_rows == other_rows
    assert sorted(p.name for p in resumed.folder.glob("checkpoints/*")) == sorted(
        p.name for p in run.folder.glob("checkpoints/*")
    )


@pytest.mark.slow
def test_accumulated_gradients_are_those_of_one_large_batch(run: Run, at_once: Run) -> None:
    """Equal but for the order of additions, over six updates."""
    one, other = run.tensors(STEPS), at_once.tensors(STEPS)
    start = make_diffusion().model.arrays()
    for group in ("model", "ema"):
        for name, array in one[group].items():
            moved = np.abs(array - start[name]).max()
            assert np.abs(array - other[group][name]).max() <= 0.02 * moved, (group, name)
    for a, b in zip(run.metrics(), at_once.metrics(), strict=False):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-4)
        assert b["grad_norm"] == pytest.approx(a["grad_norm"], rel=1e-3)


def test_the_loss_falls(at_once: Run) -> None:
    losses = [row["loss"] for row in at_once.metrics()]
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_a_sampler_that_fails_ends_no_run(at_once: Run) -> None:
    assert at_once.reached
    assert not (at_once.folder / "samples").exists()
    assert_same(at_once.trainer.diffusion.model.arrays(), at_once.tensors(60)["model"])


# ---- the loop around a step that computes nothing


class FakeStep:
    """Adds 1 to the average; calls ``at[step]`` first. Notes the batches."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.at, self.seen = trainer, dict[int, Callable[[], Any]](), []
        self.losses: dict[int, float] = {}
        trainer._train_step = self  # type: ignore[assignment]

    def waiter(self) -> Waiter:
        return AdaptiveSleep()

    def __call__(self, batches: Sequence[Any], *_: Any) -> tuple[Tensor, Tensor]:
        step = self.trainer.step
        self.at.get(step, lambda: None)()
        self.seen.append((step, batches))
        optimizer = self.trainer._optimizer
        ops.assign(optimizer.ema, optimizer.ema + 1)
        loss = self.losses.get(step, 1.0 / step)
        return Tensor(np.float32(loss)), Tensor(np.float32(2.0))


@pytest.fixture
def quick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Trainer, FakeStep]]:
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


Quick = Callable[..., tuple[Trainer, FakeStep]]


def saved(trainer: Trainer) -> list[int]:
    return sorted(int(p.name[5:]) for p in trainer.run.path.glob("checkpoints/step-*"))


def drawn(trainer: Trainer) -> list[int]:
    return sorted(int(p.stem[5:]) for p in trainer.run.path.glob("samples/step-*.png"))


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
    conditioned = np.concatenate([b.conditioned for _, batches in step.seen for b in batches])
    assert 0.25 < conditioned.mean() < 0.75
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


def test_ctrl_c_saves_after_the_step_and_draws_nothing(
    quick: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, step = quick()
    before = signal.getsignal(signal.SIGINT)
    step.at[5] = lambda: signal.raise_signal(signal.SIGINT)
    assert not trainer.train()
    assert trainer.step == 5 and saved(trainer) == [3, 5] and drawn(trainer) == [3]
    assert [row["step"] for row in trainer.run.metrics.read()] == [1, 2, 3, 4, 5]
    assert signal.getsignal(signal.SIGINT) is before
    assert "Traceback" not in capsys.readouterr().err

    again, _ = quick(resume=True)
    assert again.step == 5
    assert again.train() and saved(again) == [3, 5, 6, 7]


def test_a_second_ctrl_c_ends_at_once(quick: Quick) -> None:
    trainer, step = quick()

    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    step.at[5] = twice
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert saved(trainer) == [3]
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_ends_a_drawing_under_way(
    quick: Quick, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = []

    def sample(self: GaussianDiffusion, batch_size: int, **options: Any) -> None:
        for i in range(100):
            steps.append(i)
            if i == 1:
                signal.raise_signal(signal.SIGINT)
            options["on_step"]()

    monkeypatch.setattr(GaussianDiffusion, "sample", sample)
    trainer, _ = quick()
    assert not trainer.train()
    assert steps == [0, 1]
    assert 3 in saved(trainer) and trainer.step <= 4 and trainer.step in saved(trainer)
    assert "no samples at step 3" in capsys.readouterr().out


def test_pictures_that_fail_end_no_run(
    quick: Quick, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk of pictures is full")

    monkeypatch.setattr(pictures, "comparison", fail)
    trainer, _ = quick()
    assert trainer.train()
    assert saved(trainer) == [3, 6, 7] and drawn(trainer) == []
    out = capsys.readouterr().out
    assert out.count("disk of pictures is full") == 3
    assert "no samples at step 6: OSError: disk of pictures is full" in out


def test_a_loss_that_is_not_a_number_is_written_as_null(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, step = quick(save_and_sample_every=10)
    monkeypatch.setattr(pictures, "loss_curve", LOSS_CURVE)
    step.losses = {2: float("nan"), 4: float("inf")}
    assert trainer.train()
    assert [row["loss"] is None for row in trainer.run.metrics.read()] == [
        False,
        True,
        False,
        True,
        False,
        False,
        False,
    ]
    assert drawn(trainer) == [7] and trainer.run.loss_curve.exists()


def test_a_full_disk_ends_no_run_that_can_still_be_saved_later(
    quick: Quick,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = train_state.save

    def save(run: Path, checkpoint: Checkpoint) -> Path:
        if checkpoint.step in full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(run, checkpoint)

    monkeypatch.setattr(train_state, "save", save)
    full = {3}
    assert quick(results_folder=str(tmp_path / "passing"))[0].train()
    assert "no checkpoint at step 3: [Errno 28] No space left on device" in capsys.readouterr().out
    full = {6, 7}
    trainer, _ = quick()
    with pytest.raises(OSError, match=r"could not be saved \(No space.*\), the newest is .*00003"):
        trainer.train()
    assert saved(trainer) == [3] and trainer.step == 7
    assert [row["step"] for row in trainer.run.metrics.read()] == list(range(1, 8))


def test_old_checkpoints_are_pruned_as_configured(quick: Quick) -> None:
    trainer, _ = quick(save_and_sample_every=1, keep_last=2, keep_every=3)
    assert trainer.train() and saved(trainer) == [3, 6, 7]
    assert drawn(trainer) == [1, 2, 3, 4, 5, 6, 7]


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


def test_samples_that_a_kill_prevented_are_drawn_by_the_resumed_run(quick: Quick) -> None:
    trainer, _ = quick()
    trainer.train()
    picture = trainer.run.path / "samples" / "step-00000007.png"
    content = picture.read_bytes()
    picture.unlink()
    assert quick(resume=True)[0].train() and picture.read_bytes() == content
    # Ctrl-C at a step where none are due leaves nothing to catch up on.
    trainer, step = quick(results_folder=str(trainer.run.path) + "-stopped")
    step.at[4] = lambda: signal.raise_signal(signal.SIGINT)
    assert not trainer.train()
    again, _ = quick(results_folder=str(trainer.run.path), resume=True)
    assert again.train() and drawn(again) == [3, 6, 7]


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
    for weight, expected in zip(weights, (3, 6, 7), strict=True):
        np.testing.assert_allclose(weight, start + expected, rtol=1e-6)


def test_the_average_can_be_had_at_any_time(quick: Quick) -> None:
    trainer, _ = quick(train_num_steps=2)
    start = trainer.diffusion.model.arrays()
    assert_same(trainer.ema_diffusion.model.arrays(), start)
    trainer.train()
    average = trainer.ema_diffusion.model.arrays()
    name = "init_conv.weight"
    np.testing.assert_array_equal(average[name], start[name] + 1 + 1)
    assert_same(trainer.diffusion.model.arrays(), start)
    again, _ = quick(train_num_steps=2, resume=True)
    assert_same(again.ema_diffusion.model.arrays(), average)
    assert again.train()  # nothing left to do


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


def test_a_damaged_checkpoint_is_passed_over_and_told(
    quick: Quick, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer, _ = quick()
    trainer.train()
    file = trainer.run.path / "checkpoints" / "step-00000007" / "ema.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    again, _ = quick(resume=True)
    assert again.step == 6
    assert "passed over a checkpoint" in capsys.readouterr().out
    assert again.train() and saved(again) == [3, 6, 7]
    assert load(file.parent).step == 7


def test_metrics_of_a_run_killed_before_its_first_checkpoint_are_dropped(quick: Quick) -> None:
    trainer, step = quick()

    def die() -> None:
        raise SystemExit

    step.at[2] = die
    trainer.run.metrics.append([{"step": 1, "loss": 9.0}])
    with pytest.raises(SystemExit):
        trainer.train()
    again, _ = quick()
    again.train()
    assert [row["step"] for row in again.run.metrics.read()] == [1, 2, 3, 4, 5, 6, 7]
    assert again.run.metrics.read()[0]["loss"] == 1.0


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
