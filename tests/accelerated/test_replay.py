"""Training that meets NaN: nothing is applied, it stops, and the update can be looked at again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.trainer.batches import Batches

TINY = (
    "--dim 8 --dim-mults 1 --attn-heads 1 --attn-dim-head 4 --batch-size 4 --num-samples 2 "
    "--timesteps 20 --sampling-timesteps 2 --save-every 4 --device CPU"
)


def contents(run: Path) -> dict[str, str]:
    files = [path for path in sorted(run.rglob("*")) if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_a_run_that_meets_nan_stops_and_is_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Batches.__call__

    def spoiled(self: Batches, step: int) -> Any:
        batches = whole(self, step)
        if step >= 6:
            batches[0].x_0[2, 0, 3, 3] = np.nan
        return batches

    monkeypatch.setattr(Batches, "__call__", spoiled)
    run = tmp_path / "run"
    options = f"--steps 50 --max-nonfinite-steps 3 --results-folder {run} {TINY}"
    assert main(["train", *options.split()]) == 3
    said = capsys.readouterr().err
    assert "stopped at step 8: 3 steps in a row, from 6 on" in said
    assert f"ddpm-mindspore replay {run} --step 6" in said

    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-00000004"]
    noted = [json.loads(line) for line in (run / "nonfinite.jsonl").read_text().splitlines()]
    assert [(entry["step"], entry["loss"], entry["seed"]) for entry in noted] == [
        (6, "nan", 0),
        (7, "nan", 0),
        (8, "nan", 0),
    ]
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] is None for row in metrics] == [False] * 5 + [True] * 3

    before = contents(run)
    assert main(["replay", str(run), "--step", "6", "--device", "CPU"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"step 6 of {run}, going on from step 4"
    assert "micro-batch 1 of 1: loss nan" in lines
    assert any(line.startswith("gradient norm nan; not finite for") for line in lines)
    assert "the first layer whose output for image 2 is not finite: init_conv" in lines[-1]
    images = [line.split() for line in lines if line.split()[0] in "0123"]
    assert [int(words[1]) for words in images] == noted[0]["indices"]
    assert [words[3] == "nan" for words in images] == [False, False, True, False]
    assert "1 of 64 pixels are not finite" in " ".join(images[2])
    assert contents(run) == before

    # An update that went well: the very loss that was written down.
    assert main(["replay", str(run), "--step", "3", "--device", "CPU"]) == 0
    lines = capsys.readouterr().out.splitlines()
    loss = float(next(line for line in lines if "micro-batch" in line).split()[-1])
    assert loss == pytest.approx(metrics[2]["loss"], rel=1e-5)
    assert any("not finite for 0 of" in line for line in lines)


def test_what_cannot_be_replayed_is_refused(tmp_path: Path) -> None:
    assert main(["replay", str(tmp_path), "--step", "3"]) == 2
    assert main(["replay", str(tmp_path), "--step", "0"]) == 2
    assert main(["replay", str(tmp_path)]) == 2
