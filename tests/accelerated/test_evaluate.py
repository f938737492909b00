"""``evaluate``: figures beside their anchors, whatever the batch, and refusals before any work."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands import evaluate as command
from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.data.digits import load_digits
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build
from ddpm_mindspore.parity.test_inception import drawn
from ddpm_mindspore.reference.config import SamplingConfig, UnetConfig, inception

FEW = ("--num-samples", "40", "--num-real", "200", "--replicates", "10")


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with classes whose tiny network has learned nothing, and unseen pictures."""
    folder = tmp_path_factory.mktemp("evaluate")
    net = UnetConfig(
        dim=4, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=4, num_classes=10
    )
    config = replace(DIGITS, network=net, sampling=SamplingConfig(sampling_timesteps=4))
    run = RunFolder(folder / "run")
    run.prepare(resume=False)
    run.config.write(config, images={"count": 1797, "path": None, "classes": list("0123456789")})
    start = build(config).model.arrays()
    save(run.path, Checkpoint(5, {"ema": start, "model": start}, {}))
    (folder / "unseen").mkdir()
    for i, digit in enumerate(load_digits()[:60, 0]):
        Image.fromarray(255 - digit).save(folder / "unseen" / f"{i:02d}.png")
    (folder / "few").mkdir()
    Image.fromarray(digit).save(folder / "few" / "a.png")
    return folder


@pytest.fixture(autouse=True)
def inside(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)


def evaluated(*words: str) -> dict[str, Any]:
    assert main(["evaluate", "run", *FEW, *words]) == 0
    where = (
        Path(words[words.index("--output") + 1]) if "--output" in words else Path("run/evaluation")
    )
    found: dict[str, Any] = json.loads(Path(where, "evaluation.json").read_text())
    return {name: value for name, value in found.items() if name not in ("seconds", "date")}


def test_figures_stand_beside_their_anchors_whatever_the_batch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = evaluated("--against", "unseen")
    table = capsys.readouterr().out
    assert found["counts"] == {
        **{"samples": 40, "training": 200, "training_in_all": 1797, "held_out": 60}
    }
    assert (found["step"], found["weights"], found["feature_space"]) == (5, "average", "pixels")
    assert found["features"] == 64 and found["sampling"]["steps"] == 4
    assert set(found["distances"]) == {"drawn", "halves", "held_out", "drawn_to_held_out"}
    for column in found["distances"].values():
        assert list(column["recall"]) == ["value", "error", "low", "high"]
    # Noise is no digit, and no digit's negative is a digit; halves of the digits are alike.
    distance = {name: column["kernel"]["value"] for name, column in found["distances"].items()}
    assert abs(distance["halves"]) < 0.01 < min(distance["drawn"], distance["held_out"])
    assert found["copies"]["expected"] == pytest.approx(200 / 260)
    assert sum(found["classes"]["counts"]) == 40
    assert found["classes"]["agreement"]["value"] < 0.5 < found["classes"]["judge"]
    assert any("grey is" in line for line in found["colour"]["flags"])
    for text in ("Fréchet distance", "real halves", "held out, training", "± holds", "mostly bias"):
        assert text in table
    assert max(map(len, table.split("\n\n")[1].splitlines())) <= 110
    assert Image.open("run/evaluation/closest.png").width > 100

    again = evaluated("--against", "unseen", "--batch-size", "7", "--output", "other")
    assert again == found
    one, other = (np.load(f"{folder}/samples.npy") for folder in ("run/evaluation", "other"))
    np.testing.assert_array_equal(one, other)


def test_samples_are_kept_and_gone_on_with(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    draw = command.draw

    def counted(run: Any, config: Any, sampling: Any, size: Any, kept: Any, labels: Any) -> bool:
        asked.append((kept.finished, kept.number))
        return draw(run, config, sampling, size, kept, labels)

    monkeypatch.setattr(command, "draw", counted)
    whole = evaluated("--output", "whole")
    assert main(["evaluate", "run", *FEW[2:], "--num-samples", "16", "--output", "parts"]) == 0
    assert evaluated("--output", "parts") == whole
    assert "40 images with the weights of step 5 (average), 16 of them are there" in (
        capsys.readouterr().out
    )
    evaluated("--output", "parts", "--features", "pca")
    assert asked == [(0, 40), (0, 16), (16, 40)]
    monkeypatch.setattr(command, "draw", lambda *_: True)
    assert main(["evaluate", "run", *FEW, "--seed", "1", "--output", "parts"]) == 130
    assert "0 of 40 images are kept in parts/; the same command goes on" in capsys.readouterr().err


def test_a_reciting_model_is_seen_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def recite(run: Any, config: Any, sampling: Any, size: Any, kept: Any, labels: Any) -> bool:
        kept.add(load_digits()[300:340])
        return False

    monkeypatch.setattr(command, "draw", recite)
    found = evaluated("--num-real", "1797", "--output", "recited")
    copies = found["copies"]
    assert copies["closer_than_1_percent_of_training"]["value"] == 1.0
    assert copies["median_distance"] == 0.0
    assert all(pair["training"] == pair["drawn"] + 300 for pair in copies["closest"])


def test_only_what_is_asked_for_is_compared_with_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = evaluated("--label", "3", "5", "--output", "label")
    assert found["counts"]["training_in_all"] == 183 + 182
    assert found["classes"]["counts_of_training"] == [100, 100]
    assert re.search("of the training items +3: 100, 5: 100\n", capsys.readouterr().out)
    assert found["classes"]["agreement"] is not None


def test_fid_is_called_so_in_its_own_space_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(inception, "INCEPTION", small := inception.InceptionConfig(16))
    safetensors.numpy.save_file(drawn(small, 0), "small.safetensors")
    few = ("--num-samples", "16", "--num-real", "32", "--output", "fid")
    found = evaluated(*few, "--features", "inception", "--inception-weights", "small.safetensors")
    said = capsys.readouterr()
    assert (found["feature_space"], found["features"]) == ("inception", 128)
    digest = hashlib.sha256(Path("small.safetensors").read_bytes()).hexdigest()
    assert found["feature_weights"] == {"file": "small.safetensors", "sha256": digest}
    assert f"begins with {digest[:8]}, that of {inception.FILE} with 6726825d" in said.err
    assert "FID (Inception v3, 2015-12-05) " in said.out
    assert min(of["frechet"]["value"] for of in found["distances"].values()) > 0.0
    assert "\nFréchet distance" not in said.out
    evaluated(*few)
    assert "FID (" not in capsys.readouterr().out


def test_bits_are_counted_of_each_image_and_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    asked = "--likelihood 3 --likelihood-steps 3 --likelihood-solver euler --against unseen"
    found = evaluated(*asked.split(), "--output", "bits")["likelihood"]
    assert list(found) == ["training", "held_out"]
    for of in found.values():
        assert of["images"] == 3 and 30 < len(of["times"]) == len(of["profile"]) <= 41
        assert 2.0 < of["bound"]["value"] < 20.0 and 2.0 < of["flow"]["value"] < 20.0
        assert len(of["each"]) == 3 and of["each"][0]["bound"] >= of["each"][1]["bound"]
    assert found["held_out"]["each"][0]["name"].endswith(".png")
    assert "bits for each value, training" in capsys.readouterr().out
    assert Image.open("bits/bits.png").width == 800


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nowhere", "nowhere"),
        ("run --num-samples 15", "num_samples 15 says too little: give 16 at least"),
        ("run --features fid", "features 'fid'"),
        ("run --features inception", "need --inception-weights FILE: pt_inception-2015-12-05-6726"),
        ("run --features inception --inception-weights no.pth", "weights 'no.pth' is not a file"),
        ("run --inception-weights a", "inception_weights 'a' needs features 'inception'"),
        ("run --efficientnet-weights a", "efficientnet_weights 'a' needs features 'efficientnet-"),
        ("run --against few", "against has 1 items: 16 are needed at least"),
        ("run --against nothing", "against: data folder 'nothing' does not exist"),
        ("run --data nothing", "data: data folder 'nothing' does not exist"),
        ("run --label cat", "cat"),
        ("run --step 4", "no checkpoint of step 4"),
        ("run --output unseen", "output 'unseen' holds"),
        ("run --image-size 0", "image_size 0"),
        ("run --likelihood 1", "likelihood 1 must be at least 2 images, or 0"),
        ("run --likelihood 4 --likelihood-solver rk45", "likelihood_solver 'rk45'"),
    ],
)
def test_wrong_input_is_refused_in_a_line(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *words.split()]) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ddpm-")]
    assert len(said) == 1 and re.search(re.escape(message), said[0]), said
