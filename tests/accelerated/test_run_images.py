"""A run goes on with the images that it had, or says what is different about them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.images import place_of_images
from ddpm_mindspore.accelerated.trainer.from_run import like_source

NET: dict[str, Any] = {"dim": 8, "dim_mults": (1,), "channels": 1}


def draw(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((8, 8), sum(name.encode()) % 256, np.uint8)
        Image.fromarray(pixels).save(folder / name)


def make(data: Any, run: Path, **options: Any) -> Trainer:
    process = GaussianDiffusion(Unet(**NET), image_size=8, timesteps=10)
    return Trainer(process, data, results_folder=run, train_num_steps=4, **options)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Trainer]:
    """Train a run without taking a step, which is saved."""

    def train(data: Any, run: Path, **options: Any) -> Trainer:
        trainer = make(data, run, **options)
        with monkeypatch.context() as patch:
            patch.setattr(trainer, "_loop", lambda *_: trainer._save(trainer._snapshot()))
            trainer.train()
        return trainer

    return train


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: Any) -> Path:
    """A folder with six images and a run, which was told of them as "data"."""
    draw(tmp_path / "a" / "data", *(f"{i}.png" for i in range(6)))
    monkeypatch.chdir(tmp_path / "a")
    trained("data", Path("run"))
    return tmp_path / "a"


def resume(capsys: pytest.CaptureFixture[str], run: Path | str, *options: str) -> tuple[int, str]:
    """Resume with the command; its exit code and what it said."""
    code = main(["train", "--resume", "--results-folder", str(run), *options])
    out, err = capsys.readouterr()
    return code, out + err


@pytest.fixture
def no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "_loop", lambda *_: None)
    monkeypatch.setattr(Trainer, "_misses_samples", lambda *_: False)


def test_a_run_remembers_where_its_images_are(project: Path) -> None:
    written = json.loads((project / "run" / "config.json").read_text())
    assert written["data"] == "data"
    assert written["images"] == {"count": 6, "path": str(project / "data")}


def test_a_run_finds_its_images_from_another_folder(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    no_steps: None,
) -> None:
    """Though there are others of that name."""
    draw(project.parent / "b" / "data", "other.png")
    monkeypatch.chdir(project.parent / "b")
    code, said = resume(capsys, project / "run")
    assert code == 130 and f"images: {project / 'data'}\n" in said
    assert "6 images of 1x8x8" in said
    assert RunFolder(project / "run").config.read().data == "data"


def test_a_project_that_has_moved_finds_its_images(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = project.rename(project.with_name("moved"))
    monkeypatch.chdir(moved)
    assert place_of_images(RunFolder(moved / "run")) == "data"
    monkeypatch.chdir(moved.parent)
    code, said = resume(capsys, "moved/run")
    assert code == 2 and said == (
        f"ddpm-mindspore: the images of the run 'moved/run' are not in '{project / 'data'}' any "
        "more, and there is no 'data' here: say where they are (--data)\n"
    )


def test_a_run_that_has_moved_away_from_its_images_finds_them(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.move(project / "run", project.parent / "run")
    monkeypatch.chdir(project.parent)
    assert place_of_images(RunFolder(Path("run"))) == str(project / "data")


def test_missing_and_new_images_are_named_and_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(4):
        (project / "data" / f"{i}.png").unlink()
    draw(project / "data", "new.png")
    before = (project / "run" / "images.json").read_text()
    code, said = resume(capsys, "run")
    assert code == 2 and said == (
        "ddpm-mindspore: data 'data' is not what the run 'run' has seen so far: 4 images missing "
        "('0.png', '1.png', '2.png', ...) and 1 image new ('new.png'): bring back the images that "
        "it had, or go on with these by naming the data anew (--data; in Python, new_data=True)\n"
    )
    with pytest.raises(ValueError, match=r"4 images missing .* and 1 image new"):
        make("data", Path("run"), resume=True)
    assert (project / "run" / "images.json").read_text() == before


def test_naming_the_data_anew_goes_on_with_what_there_is(
    project: Path, capsys: pytest.CaptureFixture[str], no_steps: None
) -> None:
    (project / "data" / "0.png").unlink()
    code, said = resume(capsys, "run", "--data", "data")
    assert code == 130
    assert "1 image missing ('0.png'); going on with these, in a new order, and with all" in said
    assert "5 images of 1x8x8" in said
    # That is what the run has now.
    code, said = resume(capsys, "run")
    assert code == 130 and "missing" not in said and "5 images of 1x8x8" in said
    draw(project / "other", "x.png")
    code, said = resume(capsys, "run", "--data", "other")
    assert code == 130 and "5 images missing" in said and "1 image new ('x.png')" in said
    assert make("other", Path("run"), resume=True).step == 0


@pytest.mark.parametrize("gb", [2.0, 0.0])
def test_an_image_that_broke_is_not_missing(project: Path, gb: float) -> None:
    (project / "data" / "2.png").write_bytes(b"no picture any more")
    trainer = make("data", Path("run"), resume=True, data_memory_gb=gb)
    assert (len(trainer.images), trainer.images.places) == (5, 6)
    assert [name for name, _ in trainer.images.skipped] == ["data/2.png"]


def test_an_array_of_another_length_is_refused(tmp_path: Path, trained: Any) -> None:
    images = np.zeros((7, 1, 8, 8), np.uint8)
    trained(images, tmp_path / "run")
    assert make(images, tmp_path / "run", resume=True).step == 0
    with pytest.raises(ValueError, match=r"'ndarray' is not what the run .*: 5 images and not 7: "):
        make(images[:5], tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match="1,797 images and not 7"):
        make("digits", tmp_path / "run", resume=True)
    draw(tmp_path / "data", *(f"{i}.png" for i in range(7)))
    with pytest.raises(ValueError, match="7 images and not 7, of another kind"):
        make(tmp_path / "data", tmp_path / "run", resume=True)
    accepted = make(images[:5], tmp_path / "run", resume=True, new_data=True)
    assert len(accepted.images) == 5


def test_a_run_of_an_earlier_version_goes_on(project: Path, trained: Any) -> None:
    """Its config.json does not say where the images are, and how many."""
    config = project / "run" / "config.json"
    document = json.loads(config.read_text())
    del document["images"]
    config.write_text(json.dumps(document))
    assert place_of_images(RunFolder(project / "run")) == "data"
    assert make("data", Path("run"), resume=True).step == 0
    (project / "run" / "images.json").unlink()
    assert make(np.zeros((2, 1, 8, 8), np.uint8), Path("run"), resume=True).step == 0


def test_a_folder_that_is_named_digits_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "digits", "a.png")
    monkeypatch.chdir(tmp_path)
    trainer = make(Path("digits"), Path("run"))
    assert len(trainer.images) == 1 and trainer._run_config.data == "./digits"
    with pytest.raises(ValueError, match="data '' must be the path of a file or folder"):
        make("", Path("run"))


def test_an_update_is_replayed_only_with_the_images_of_the_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "data" / "5.png").unlink()
    for _ in range(2):
        assert main(["replay", "run", "--step", "1", "--device", "CPU"]) == 2
        assert "1 image missing ('5.png'); with other images it would be another update" in (
            capsys.readouterr().err
        )
        shutil.rmtree("run/checkpoints", ignore_errors=True)  # and from the very beginning


def test_a_run_that_starts_from_another_has_the_images_that_it_had(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not others of that name."""
    draw(project.parent / "b" / "data", "other.png")
    monkeypatch.chdir(project.parent / "b")
    assert like_source(DIGITS, str(project / "run"), None).data == str(project / "data")
    assert like_source(DIGITS, str(project / "run"), "data").data == "data"
