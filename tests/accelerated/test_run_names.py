"""A results folder that holds files of others: they are neither removed nor written over."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands.options import ImportConfig
from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.names import FILES, FOLDERS
from ddpm_mindspore.accelerated.weights.convert import import_weights

LEFT = (".config.json.99.tmp", ".images.json.99.tmp", ".loss.png.1.tmp", ".progress.json.2.tmp")
SAMPLE = "samples/.step-00000010.png.9.tmp"
MINE = (
    *(".config.json.tmp", ".config.json.draft.1.tmp", "config.json.99.tmp", ".draft.2024.tmp"),
    *(".writable", "notes/.config.json.99.tmp", "notes/deep/.draft.2024.tmp"),
)


def contents(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text('{"mine": 1}')


@pytest.mark.parametrize("name", [*FILES, *(f"{name}/mine" for name in FOLDERS), ".lock"])
def test_a_folder_that_something_else_uses_is_refused_before_anything_is_written(
    tmp_path: Path, name: str
) -> None:
    write(tmp_path, name, "notes.txt")
    before = contents(tmp_path)
    shown = re.escape(name.partition("/")[0])
    with pytest.raises(
        ValueError, match=rf"is no run, and holds {shown}, which a run would write over: choose"
    ):
        RunFolder(tmp_path).prepare(resume=False)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("options", [(), ("--data", "nowhere"), ("--resume",)])
def test_the_command_leaves_such_a_folder_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    write(tmp_path, "config.json", "metrics.jsonl", "loss.png", "checkpoints/step-1/mine")
    before = contents(tmp_path)
    assert main(["train", "--results-folder", str(tmp_path), *options]) == 2
    said = capsys.readouterr().err
    others = "config.json, metrics.jsonl, loss.png, checkpoints"
    assert ("is not a configuration" if options == ("--resume",) else others) in said
    assert contents(tmp_path) == before


def test_weights_are_not_imported_into_such_a_folder(tmp_path: Path) -> None:
    weights, folder = tmp_path / "w.safetensors", tmp_path / "mine"
    network = Unet(dim=8, dim_mults=(1, 2), attn_heads=1, attn_dim_head=4)
    safetensors.numpy.save_file(network.arrays(), weights)
    write(folder, "config.json")
    config = ImportConfig(weights, 8, str(folder), 10, "pred_v", "sigmoid")
    with pytest.raises(ValueError, match=r"is no run, and holds config\.json"):
        import_weights(config)
    assert contents(folder) == {"config.json": b'{"mine": 1}'}


def test_a_folder_with_other_files_is_trained_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As --results-folder . in someone's project."""
    write(tmp_path, *MINE, *LEFT, "src/config.json", "steps.txt")
    mine = {name: b for name, b in contents(tmp_path).items() if name not in LEFT}
    network = Unet(dim=8, dim_mults=(1,), channels=1)
    images = np.zeros((4, 1, 8, 8), np.uint8)
    process = GaussianDiffusion(network, image_size=8, timesteps=10)
    monkeypatch.chdir(tmp_path)
    trainer = Trainer(process, images, results_folder=".")
    monkeypatch.setattr(trainer, "_loop", lambda *_: trainer._save(trainer._snapshot()))
    trainer.train()
    after = contents(tmp_path)
    assert {name: after.get(name, "gone") for name in mine} == mine
    assert not [name for name in LEFT if name in after]
    assert "checkpoints/step-00000000/state.json" in after and "config.json" in after
    # And gone on with, when some of its writing was cut short.
    write(tmp_path, *LEFT, SAMPLE)
    RunFolder(tmp_path).prepare(resume=True)
    after = contents(tmp_path)
    assert {name: after.get(name, "gone") for name in mine} == mine
    assert not [name for name in (*LEFT, SAMPLE) if name in after]


def test_a_run_without_a_checkpoint_yet_is_started_again(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.prepare(resume=False)
    run.config.write(DIGITS)
    run.metrics.append([{"step": 1, "loss": 0.5}])
    run.lock._path.write_text("")  # killed between making it and writing its name
    run.prepare(resume=False)
    assert run.config.read() == DIGITS
