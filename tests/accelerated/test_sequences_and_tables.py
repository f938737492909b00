"""Sequences and vectors from the command line and the public door: trained, resumed, drawn."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor
from scipy.io import wavfile

from ddpm_mindspore.accelerated import (
    GaussianDiffusion,
    GaussianDiffusion1D,
    Mlp,
    Trainer,
    Trainer1D,
    Unet1D,
    open_run,
)
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.presets import SEQUENCES, TABLE, preset, several
from ddpm_mindspore.accelerated.config import DIGITS, FOLDER
from ddpm_mindspore.accelerated.denoiser import denoiser
from ddpm_mindspore.accelerated.process import on_device
from ddpm_mindspore.accelerated.runs.checkpoint import load_newest
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.reference.config import MlpConfig, Unet1DConfig
from ddpm_mindspore.reference.oracle import Mixture
from ddpm_mindspore.reference.process import q_sample

TINY_1D = {
    "dim": 4, "dim_mults": (1, 2), "attn_heads": 1, "attn_dim_head": 4,
    "linear_attn_heads": 1, "linear_attn_dim_head": 4,
}  # fmt: skip
QUICK = ["--steps", "4", "--batch-size", "8", "--timesteps", "4", "--sampling-timesteps", "2"]
QUICK += ["--num-samples", "3", "--save-every", "2"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a table, a series and recordings, in which the commands run."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    with Path("table.csv").open("w") as file:
        csv.writer(file).writerows(
            [["kind", "mass", "count"], *(["red", f"{x:.2f}", int(9 * x)] for x in rng.random(40))]
        )
    with Path("series.csv").open("w") as file:
        csv.writer(file).writerows([["a", "b"], *rng.standard_normal((50, 2)).tolist()])
    Path("wavs").mkdir()
    for name in ("one", "two"):
        sound = (0.5 * np.sin(np.arange(100) / 3) * 2**15).astype(np.int16)
        wavfile.write(f"wavs/{name}.wav", 8000, np.stack([sound, -sound], 1))
    Path("photos").mkdir()
    Path("photos/a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    return tmp_path


def options(config: Any) -> list[str]:
    words: list[str] = []
    for name, value in config.items():
        words += [f"--{name.replace('_', '-')}", *map(str, np.ravel(value))]
    return words


def test_a_table_is_trained_on_and_drawn_as_a_table(here: Path) -> None:
    tiny = ["--leave-out", "kind", "--dim", "8", "--depth", "1"]
    assert main(["train", "--data", "table.csv", *tiny, *QUICK, "--results-folder", "run"]) == 0
    document = json.loads(Path("run/config.json").read_text())
    assert document["network"]["name"] == "mlp" and document["image_size"] == []
    scaling = document["images"]["scaling"]
    assert scaling["kind"] == "standard" and scaling["columns"] == ["mass", "count"]
    assert np.load("run/samples/step-00000004.npy").shape == (3, 2)
    assert Path("run/samples/step-00000004.png").stat().st_size > 1000
    assert main(["sample", "run", "--num-samples", "5", "--batch-size", "2"]) == 0
    with Path("run/drawn/samples.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["mass", "count"] and len(rows) == 5
    drawn = np.load("run/drawn/samples.npy")
    assert drawn.dtype == np.float32
    np.testing.assert_allclose(np.array(rows, float), drawn, rtol=1e-6)
    np.testing.assert_array_equal(drawn[:, 1], np.rint(drawn[:, 1]))
    run = open_run("run")
    again = run.units(run.diffusion.sample(2, num_samples=5, seed=0))
    np.testing.assert_allclose(again, drawn, atol=0.011)  # before rounding almost the same
    assert main(["status", "run"]) == 0
    assert main(["export", "run"]) == 2  # no other package has this network


@pytest.mark.nightly
def test_recordings_are_trained_on_resumed_and_drawn_as_recordings(here: Path) -> None:
    words = ["train", "--data", "wavs", "--sequence-length", "16", *options(TINY_1D), *QUICK]
    assert main([*words, "--results-folder", "whole"]) == 0
    assert main([*words, "--steps", "2", "--results-folder", "parts"]) == 0
    assert main(["train", "--resume", "--steps", "4", "--results-folder", "parts"]) == 0
    one, two = (load_newest(Path(name)).checkpoint.tensors for name in ("whole", "parts"))
    for group in one:
        for name in one[group]:
            np.testing.assert_array_equal(one[group][name], two[group][name])
    assert main(["sample", "whole", "--num-samples", "2", "--sequence-length", "24"]) == 0
    rate, samples = wavfile.read("whole/drawn/00001.wav")
    assert rate == 8000 and samples.shape == (24, 2)
    drawn = np.load("whole/drawn/samples.npy")
    np.testing.assert_allclose(samples.T / 2**15, np.clip(drawn[1], -1, 1), atol=2**-15)
    # A drawing of another kind makes room.
    assert main(["sample", "whole", "--num-samples", "1"]) == 0
    assert not Path("whole/drawn/00001.wav").exists()


@pytest.mark.slow
def test_one_resumes_with_the_scale_that_the_run_has(here: Path) -> None:
    words = ["train", "--data", "series.csv", "--sequence-length", "8", *options(TINY_1D), *QUICK]
    assert main([*words, "--steps", "2", "--results-folder", "run"]) == 0
    before = RunFolder(Path("run")).config.images()["scaling"]
    text = Path("series.csv").read_text() + "900.0,1.0\n"
    Path("series.csv").write_text(text)
    again = ["train", "--resume", "--steps", "3", "--results-folder", "run"]
    assert main(again) == 2  # it is another series
    assert main([*again, "--data", "series.csv"]) == 0
    assert RunFolder(Path("run")).config.images()["scaling"] == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--data table.csv", "line 2: 'kind' is 'red', no finite number"),
        ("--data table.csv --leave-out kin", "leave_out 'kin' is no column of data"),
        ("--data table.csv --leave-out kind --image-size 8", "image_size 8 is for images and seq"),
        ("--data series.csv --sequence-length 10", "sequence length 10 is not divisible by 4"),
        ("--data series.csv --sequence-length 64", "50 lines, fewer than the sequence length 64"),
        ("--data series.csv --sequence-length 8 --channels 3", "has 2 columns (a, b), where 3"),
        ("--data wavs --sequence-length 128", "one.wav' has 100 samples, fewer than the sequence"),
        ("--data wavs --sequence-length 16 --channels 1", "one.wav' has 2 channels, where 1"),
        ("--data photos --sequence-length 16", "holds no WAV file (its first file is 'a.png')"),
        ("--data wavs --sequence-length 16 --conditional", "no classes"),
    ],
)
def test_wrong_input_is_one_line_before_long_work(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, told: str
) -> None:
    assert main(["train", *words.split(), "--results-folder", "run"]) == 2
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert told in line and line.startswith("ddpm-mindspore: ")
    assert not Path("run/checkpoints").exists()


def test_options_start_from_what_the_data_are(here: Path) -> None:
    def start(*words: str) -> Any:
        return preset(words[0] if words else None, ["--data", *words])

    assert start() is DIGITS and start("photos") is FOLDER
    table = start("table.csv", "--leave-out", "kind", "--steps", "3")
    assert table.network == MlpConfig(dim=128, depth=4, channels=2)
    assert table.trainer == TABLE.trainer and table.image_size == ()
    series = start("series.csv", "--sequence-length", "64")
    assert isinstance(series.network, Unet1DConfig) and series.network.channels == 2
    recordings = start("wavs")
    assert recordings.network.channels == 2 and recordings.image_size == SEQUENCES.image_size
    assert several("--a-b", ["--a_b", "x", "y", "--c", "z"]) == ("x", "y")
    assert several("--a", ["--a=x"]) == ("x",) and several("--a", ["--b", "x"]) == ()


@pytest.mark.slow
def test_the_names_that_people_know(tmp_path: Path) -> None:
    diffusion = GaussianDiffusion1D(
        Unet1D(**TINY_1D | {"dim_mults": (1,)}, channels=2), seq_length=8, timesteps=5
    )
    config = diffusion.config
    assert diffusion.shape == (2, 8)
    assert (config.objective, config.beta_schedule) == ("pred_noise", "cosine")
    dataset = np.random.default_rng(0).random((12, 2, 8), np.float32)
    trainer = Trainer1D(
        diffusion, dataset=dataset, train_batch_size=4, train_num_steps=2, num_samples=2,
        save_and_sample_every=2, results_folder=str(tmp_path / "run"),
    )  # fmt: skip
    assert trainer.train()
    drawn = trainer.ema_diffusion.sample(batch_size=3)
    assert drawn.shape == (3, 2, 8) and drawn.min() >= 0 and drawn.max() <= 1
    assert main(["export", str(tmp_path / "run")]) == 2  # linear attention of other widths
    opened = open_run(tmp_path / "run")
    np.testing.assert_array_equal(opened.diffusion.sample(batch_size=3), drawn)
    with pytest.raises(ValueError, match="sequence length 9 is not divisible by 2"):
        GaussianDiffusion1D(Unet1D(**TINY_1D), seq_length=9)
    with pytest.raises(ValueError, match=r"offset_noise 0\.1 .* vectors have one value in each"):
        GaussianDiffusion(Mlp(dim=4, depth=1, channels=2), image_size=(), offset_noise=0.1)
    with pytest.raises(ValueError, match=r"size \(8, 8\) must be 1 number"):
        GaussianDiffusion(Unet1D(**TINY_1D), image_size=8)


@pytest.mark.nightly
def test_points_of_the_plane_are_learned(tmp_path: Path) -> None:
    """Clusters of unequal shares: estimates come near the exact ones, and drawn points the data."""
    means = 1.5 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])
    mixture = Mixture((0.1, 0.2, 0.3, 0.4), means, np.repeat(0.15**2 * np.eye(2)[None], 4, 0))
    points = mixture.sample(np.random.default_rng(0), 20_000).astype(np.float32)
    diffusion = GaussianDiffusion(
        Mlp(dim=64, depth=3, channels=2), image_size=(), timesteps=200, sampling_timesteps=50,
        auto_normalize=False, beta_schedule="cosine",
    )  # fmt: skip
    trainer = Trainer(
        diffusion, points, train_batch_size=256, train_num_steps=2000, train_lr=2e-3,
        num_samples=16, save_and_sample_every=2000, results_folder=str(tmp_path),
    )  # fmt: skip
    assert trainer.train()
    learned = trainer.ema_diffusion
    rng = np.random.default_rng(1)
    x_0, t = mixture.sample(rng, 1000), rng.integers(1, 201, 1000)
    x_t = q_sample(learned.schedule, x_0, t, rng.standard_normal(x_0.shape)).astype(np.float32)
    exact = mixture.predict_x0(learned.schedule, x_t, t)
    found = denoiser(learned.model)(Tensor(x_t), on_device(learned.levels(t))).asnumpy()
    assert np.mean((found - exact) ** 2) < 0.02 * np.mean((x_0 - mixture.weights @ means) ** 2)
    drawn = learned.sample(2000)
    distance = np.linalg.norm(drawn[:, None] - means, axis=2)
    assert np.mean(distance.min(1) < 0.6) > 0.97
    shares = np.bincount(distance.argmin(1), minlength=4) / len(drawn)
    np.testing.assert_allclose(shares, mixture.weights, atol=0.05)
