"""A run on disk: what is refused before work starts, and what is read back."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddpm_mindspore.accelerated.config import DIGITS, RunConfig
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build, open_run
from ddpm_mindspore.reference.config import UnetConfig

CONFIG = replace(
    DIGITS,
    image_size=(4, 8),
    network=UnetConfig(
        dim=8, dim_mults=(1, 2), channels=1, attn_heads=(1, 2), full_attn=(True, False)
    ),
    trainer=replace(DIGITS.trainer, seed=3, adam_betas=(0.8, 0.9)),
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def checkpoint(run: RunFolder, step: int, *, seed: int = 3) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    arrays = build(replace(CONFIG, trainer=replace(CONFIG.trainer, seed=seed))).model.arrays()
    save(run.path, Checkpoint(step, {"ema": arrays}, {}))
    return arrays


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "a" / "b")
    run.prepare(resume=False)
    assert run.path.is_dir() and [path.name for path in run.path.iterdir()] == [".lock"]
    run.prepare(resume=False)  # as Trainer does once more


def test_an_existing_run_is_neither_overwritten_nor_invented(run: RunFolder) -> None:
    with pytest.raises(ValueError, match=r"run' holds no checkpoint to resume from: start without"):
        run.prepare(resume=True)
    assert not run.path.exists()
    checkpoint(run, 5)
    run.prepare(resume=True)
    with pytest.raises(ValueError, match=r"run' already holds a run: go on with it \(--resume\)"):
        run.prepare(resume=False)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/none")):
        with pytest.raises(ValueError, match=rf"'{path}' cannot be written \(.*\): choose another"):
            RunFolder(path).prepare(resume=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ValueError, match="Permission denied"):
        RunFolder(tmp_path).prepare(resume=False)


def test_the_configuration_comes_back_as_it_was(run: RunFolder) -> None:
    run.prepare(resume=False)
    run.config.write(CONFIG)
    assert run.config.read() == CONFIG
    written = json.loads(run.config.path.read_text())
    assert set(written["versions"]) == {"ddpm-mindspore", "mindspore", "numpy", "python"}
    assert written["network"]["dim"] == 8 and written["diffusion"]["timesteps"] == 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"'.*run' is not a run folder \(config.json: No such file.*\): name a folder that"),
        ("{", r"config.json is damaged \(.*\): restore it from a copy"),
        ("[]", "config.json is not a configuration of version 1"),
        ('{"version": 3}', "config.json is not a configuration of version 1"),
        ('{"version": 1}', r"config.json is damaged \('data'\)"),
    ],
)
def test_what_is_no_configuration_is_refused(
    run: RunFolder, content: str | None, message: str
) -> None:
    run.prepare(resume=False)
    if content is not None:
        run.config.path.write_text(content)
    with pytest.raises(ValueError, match=message):
        run.config.read()
    with pytest.raises(ValueError, match=message):
        open_run(run.path)


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("network", "dim", 7, "dim 7 must be even"),
        ("network", "dims", 7, "unexpected keyword argument 'dims'"),
        ("diffusion", "objective", "eps", "objective 'eps' is unknown"),
        ("trainer", "train_lr", None, "train_lr None must be a finite number"),
    ],
)
def test_a_value_that_was_edited_wrongly_is_named(
    run: RunFolder, part: str, field: str, value: object, message: str
) -> None:
    run.prepare(resume=False)
    run.config.write(CONFIG)
    document = json.loads(run.config.path.read_text())
    document[part][field] = value
    run.config.path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=f"config.json is damaged .*{message}.*: restore it"):
        run.config.read()


def test_metrics_are_lines_of_strict_json(run: RunFolder) -> None:
    run.prepare(resume=False)
    run.metrics.append([{"step": 1, "loss": 0.5}, {"step": 2, "loss": float("nan")}])
    run.metrics.append([{"step": 3, "loss": float("inf")}])
    lines = run.metrics.path.read_text().splitlines()
    assert lines == [
        '{"step": 1, "loss": 0.5}',
        '{"step": 2, "loss": null}',
        '{"step": 3, "loss": null}',
    ]
    assert run.metrics.read() == [json.loads(line) for line in lines]


def test_an_unfinished_last_line_is_left_out_and_resuming_rewinds(run: RunFolder) -> None:
    run.prepare(resume=False)
    run.metrics.rewind(0)  # nothing there yet
    run.metrics.append({"step": step, "loss": 1.0} for step in range(1, 6))
    with run.metrics.path.open("a") as file:
        file.write('{"step": 6, "lo')
    assert [row["step"] for row in run.metrics.read()] == [1, 2, 3, 4, 5]
    run.metrics.rewind(3)
    run.metrics.append([{"step": 4, "loss": 2.0}])
    assert [(row["step"], row["loss"]) for row in run.metrics.read()] == [
        (1, 1.0),
        (2, 1.0),
        (3, 1.0),
        (4, 2.0),
    ]


def test_the_initial_parameters_follow_the_runs_seed() -> None:
    def weights(seed: int) -> np.ndarray:  # type: ignore[type-arg]
        config: RunConfig = replace(CONFIG, trainer=replace(CONFIG.trainer, seed=seed))
        return build(config).model.arrays()["init_conv.weight"]

    np.testing.assert_array_equal(weights(3), weights(3))
    assert not np.array_equal(weights(3), weights(4))
