"""A folder of drawn pictures: what it holds at any moment, and that it takes nothing of others."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.reports import pictures
from ddpm_mindspore.accelerated.runs.checkpoint import save
from ddpm_mindspore.accelerated.runs.drawing import Drawing
from ddpm_mindspore.accelerated.runs.own import is_drawing

FACTS = {"versions": {"ddpm-mindspore": "0"}, "seed": 3}


def some(count: int, channels: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, channels, 4, 6), np.uint8)


def draw(folder: Path, images: NDArray[np.uint8], number: int | None = None) -> None:
    with Drawing(folder, number or len(images)) as drawing:
        drawing.add(images, FACTS)
        drawing.close()


def content(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def check(folder: Path, images: NDArray[np.uint8], finished: int) -> None:
    """The folder has the first ``finished`` of these images, and says so."""
    assert is_drawing(folder)
    facts = json.loads((folder / "drawn.json").read_text())
    assert facts["finished"] == finished and facts["seed"] == 3
    stored = np.load(folder / "samples.npy")
    np.testing.assert_array_equal(stored, images[:finished])
    for i in range(finished):
        with Image.open(folder / f"{i:05d}.png") as picture:
            shown = np.asarray(picture).reshape(4, 6, -1).transpose(2, 0, 1)
            np.testing.assert_array_equal(shown, images[i][: len(shown)])


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_pictures_are_there_as_soon_as_they_are_finished(tmp_path: Path, channels: int) -> None:
    images = some(5, channels)
    with Drawing(tmp_path / "new" / "drawn", 5) as drawing:
        drawing.add(images[:3], FACTS)
        check(drawing.folder, images, 3)
        drawing.add(images[3:], FACTS)
        check(drawing.folder, images, 5)
        drawing.close()
    names = {"drawn.json", "samples.npy", "grid.png", *(f"{i:05d}.png" for i in range(5))}
    assert {path.name for path in drawing.folder.iterdir()} == names


def test_a_drawing_makes_room_for_the_next_one_and_takes_nothing_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "drawn"
    draw(folder, some(6))
    assert capsys.readouterr().out == ""
    (folder / "notes.txt").write_text("mine")
    (folder / "00009.png").write_text("mine: the drawing had six")
    (folder / "best").mkdir()
    (folder / "best" / "00001.png").write_text("mine")
    images = some(2, seed=1)
    draw(folder, images)
    told = f"the drawing in {folder} will make room (--output FOLDER would keep it)\n"
    assert capsys.readouterr().out == told
    check(folder, images, 2)
    assert {path.name for path in folder.iterdir()} == {
        *("drawn.json", "samples.npy", "grid.png", "00000.png", "00001.png"),
        *("notes.txt", "00009.png", "best"),
    }
    assert (folder / "best" / "00001.png").read_text() == "mine"


def test_until_there_is_a_picture_the_one_before_stays(tmp_path: Path) -> None:
    draw(tmp_path / "drawn", some(2))
    before = content(tmp_path)
    with pytest.raises(KeyboardInterrupt), Drawing(tmp_path / "drawn", 7):
        raise KeyboardInterrupt
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("theirs", "drawn", "number", "named"),
    [
        (["cat.png"], 0, 4, "'cat.png'"),
        (["b", "00000.png"], 0, 4, "'00000.png' and more"),  # of no drawing that says so
        (["00003.png"], 2, 4, "'00003.png', which its drawing has not made"),
    ],
)
def test_what_is_not_of_a_drawing_is_not_written_over(
    tmp_path: Path, theirs: list[str], drawn: int, number: int, named: str
) -> None:
    folder = tmp_path / "drawn"
    if drawn:
        draw(folder, some(drawn))
    folder.mkdir(exist_ok=True)
    for name in theirs:
        (folder / name).write_text("mine")
    before = content(folder)
    with (
        pytest.raises(ValueError, match=f"output .*drawn. holds .*{re.escape(named)}.*--output"),
        Drawing(folder, number),
    ):
        pass
    assert content(folder) == before


def test_a_folder_in_the_place_of_a_picture_is_not_ours(tmp_path: Path) -> None:
    draw(tmp_path, some(2))
    (tmp_path / "00001.png").unlink()
    (tmp_path / "00001.png").mkdir()
    with pytest.raises(ValueError, match=r"holds '00001\.png'"), Drawing(tmp_path, 2):
        pass


def test_hidden_files_are_in_no_ones_way(tmp_path: Path) -> None:
    (tmp_path / ".gitkeep").touch()
    draw(tmp_path, some(1))
    assert (tmp_path / ".gitkeep").exists()


def test_only_one_process_at_a_time_draws_into_a_folder(tmp_path: Path) -> None:
    with (
        Drawing(tmp_path, 2) as drawing,
        pytest.raises(ValueError, match="being drawn into by another process"),
        Drawing(tmp_path, 3),
    ):
        pass
    drawing.__enter__()  # free again
    drawing.__exit__(None, None, None)


def test_an_output_that_is_a_file_or_within_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for output in ("file", "file/x"):
        with (
            pytest.raises(ValueError, match=r"cannot be written \((File exists|Not a directory)"),
            Drawing(tmp_path / output, 1),
        ):
            pass


@pytest.mark.parametrize("end", range(6))
def test_wherever_it_ends_the_folder_is_whole_and_the_next_drawing_clears_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: int
) -> None:
    images, real, calls = some(5), pictures.save_png, iter(range(100))

    def save_png(image: Image.Image, path: Path, text: dict[str, str]) -> None:
        if next(calls) == end:
            path.with_name(f".{path.name}.99.tmp").write_bytes(b"half of it")
            raise KeyboardInterrupt
        real(image, path, text)

    draw(tmp_path, some(3, seed=1))
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "save_png", save_png)
        with pytest.raises(KeyboardInterrupt), Drawing(tmp_path, 90) as drawing:
            drawing.add(images[:2], FACTS)
            drawing.add(images[2:], FACTS)
            drawing.close()
    finished = drawing.finished
    assert finished == end
    stored = np.load(tmp_path / "samples.npy")
    np.testing.assert_array_equal(stored, images[:finished])
    (tmp_path / "00070.png").write_text("mine: 90 were wanted, and no more than five begun")
    draw(tmp_path, images[:1])
    assert {path.name for path in tmp_path.iterdir()} == {
        *("drawn.json", "samples.npy", "grid.png", "00000.png", "00070.png")
    }


def test_a_full_disk_keeps_what_was_finished(tmp_path: Path) -> None:
    """Here no file may become larger than samples.npy is with a few pictures."""
    images = some(5, seed=2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Drawing(tmp_path, 5) as drawing:
        drawing.add(images[:2], FACTS)
        room = 128 + 7 * images[0].size + 10
        many = np.repeat(images, 4, axis=0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        try:
            with pytest.raises(OSError, match="File too large"):
                drawing.add(many, FACTS)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert drawing.finished == 7
        drawing.close()
    check(tmp_path, np.concatenate([images[:2], many]), 7)


# ---- the command


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run whose network was never trained."""
    folder = tmp_path_factory.mktemp("here") / "run"
    network = Unet(8, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=8)
    diffusion = GaussianDiffusion(network, image_size=8, timesteps=50, sampling_timesteps=2)
    trainer = Trainer(diffusion, np.zeros((4, 1, 8, 8), np.uint8), results_folder=str(folder))
    trainer.run.config.write(trainer._run_config)
    save(folder, trainer._snapshot())
    yield folder


def test_who_is_interrupted_keeps_what_was_finished(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a terminal that is closed, here: nothing can be said, and nothing need be."""
    command = [sys.executable, "-m", "ddpm_mindspore.accelerated.cli", "sample", str(run)]
    process = subprocess.Popen(
        [*command, "--num-samples", "200000", "--batch-size", "3", "--seed", "8"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    )
    drawn, begin = run / "drawn", time.monotonic()
    while not (drawn / "00007.png").exists():
        assert process.poll() is None and time.monotonic() - begin < 300
        time.sleep(0.02)
    assert process.stdout is not None
    process.stdout.close()
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 130
    facts = json.loads((drawn / "drawn.json").read_text())
    stored = np.load(drawn / "samples.npy")
    assert facts["number"] == 200000 and facts["finished"] == len(stored) >= 7
    assert len(list(drawn.glob("0*.png"))) == len(stored) and (drawn / "grid.png").exists()
    assert (facts["step"], facts["seed"], facts["sampler"]) == (0, 8, "unipc")
    assert (facts["steps"], facts["evaluations"], facts["spacing"]) == (2, 2, "uniform")
    assert facts["weights"] == "average"
    assert facts["run"] == str(run) and facts["versions"]["mindspore"]

    again = ["sample", str(run), "--num-samples", "4", "--batch-size", "3", "--seed", "8"]
    assert main(again) == 0
    assert "samples.npy (4, 1, 8, 8)" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(drawn / "samples.npy"), stored[:4])
    assert len(os.listdir(drawn)) == 4 + 3  # noqa: PTH208
    assert main([*again, "--output", str(run)]) == 2
    assert "holds what is no drawing ('checkpoints' and more)" in capsys.readouterr().err
