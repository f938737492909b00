"""``evaluate_every``: figures at the checkpoints that are due, also after a resumption."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_mindspore.accelerated import GaussianDiffusion

from .quick_trainer import Quick, make_images

ASKED = {"evaluate_every": 2, "evaluate_samples": 20, "save_and_sample_every": 1, "num_samples": 2}


def test_figures_are_written_when_due_and_not_twice(quick: Quick) -> None:
    trainer, _ = quick(make_images(40), train_num_steps=5, **ASKED)
    assert trainer.train()
    rows = trainer.run.evaluations.read()
    assert [row["step"] for row in rows] == [2, 4]
    assert (rows[0]["samples"], rows[0]["real"]) == (20, 40)
    names = ("frechet", "frechet_infinity", "kernel", "precision", "recall", "density", "coverage")
    for name in names:
        assert {name, f"{name}_error"} <= rows[0].keys()
    assert rows[0]["frechet"] > 0.1 and rows[0]["coverage"] < 0.5  # all of them grey
    longer, _ = quick(make_images(40), train_num_steps=6, resume=True, **ASKED)
    assert longer.train()
    assert [row["step"] for row in longer.run.evaluations.read()] == [2, 4, 6]
    assert longer.run.evaluations.read()[:2] == rows


def test_what_is_drawn_for_it_begins_with_the_picture(
    quick: Quick,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def sample(self: GaussianDiffusion, batch_size: int, **options: int) -> NDArray[np.float32]:
        asked.append(options["num_samples"])
        return np.zeros((options["num_samples"], *self.shape), np.float32)

    monkeypatch.setattr(GaussianDiffusion, "sample", sample)
    trainer, _ = quick(make_images(40), train_num_steps=3, **ASKED)
    assert trainer.train()
    assert asked == [2, 20, 2]


def test_tensorboard_has_the_figures_too(quick: Quick) -> None:
    pytest.importorskip("tensorboardX")
    trainer, _ = quick(make_images(40), train_num_steps=2, tensorboard=True, **ASKED)
    assert trainer.train()
    (file,) = (trainer.run.tensorboard / "evaluation").iterdir()
    data = file.read_bytes()
    assert b"frechet_infinity" in data and b"coverage" in data and b"_error" not in data


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"evaluate_every": 3, "save_and_sample_every": 2}, "evaluate_every 3 is no multiple"),
        ({"evaluate_every": 2, "evaluate_samples": 15}, "evaluate_samples 15 say too little"),
    ],
)
def test_what_says_nothing_is_refused(
    quick: Quick,
    asked: dict[str, int],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        quick(**asked)


def test_a_handful_of_images_cannot_be_evaluated_and_training_goes_on(
    quick: Quick,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trainer, _ = quick(train_num_steps=2, **ASKED)
    assert trainer.train()
    assert "20 drawn and 10 real items are too few" in capsys.readouterr().out
