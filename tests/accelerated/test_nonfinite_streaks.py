"""What is saved, removed and drawn while updates are left out because something is not finite.

The loop is the real one; its step computes nothing, and says of some updates that their loss, or
their gradient, is not finite.
"""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from ddpm_mindspore.accelerated import Trainer
from ddpm_mindspore.accelerated.runs.checkpoint import load
from ddpm_mindspore.accelerated.trainer.nonfinite import NonfiniteError, NonfiniteSteps

from .quick_trainer import FakeStep, Quick, drawn, saved

NAN = (math.nan, math.nan)
OVERFLOW = (0.5, math.inf)


class Made(NamedTuple):
    trainer: Trainer
    step: FakeStep

    def saved(self) -> list[int]:
        return saved(self.trainer)

    def drawn(self) -> list[int]:
        return drawn(self.trainer)


Make = Callable[..., Made]


@pytest.fixture
def make(quick: Quick) -> Make:
    def make(wrong: Collection[int] = (), what: tuple[float, float] = NAN, **options: Any) -> Made:
        made = Made(*quick(**{"train_batch_size": 2, "num_samples": 1} | options))
        made.step.wrong = dict.fromkeys(wrong, what)
        return made

    return make


@pytest.mark.parametrize(("every", "keep"), [(1, 1), (2, 2)])
def test_nothing_is_saved_and_nothing_removed_until_an_update_is_applied(
    make: Make, every: int, keep: int
) -> None:
    made = make(range(5, 10), train_num_steps=12, save_and_sample_every=every, keep_last=keep)
    seen: dict[int, list[int]] = {}
    made.step.before = lambda step: seen.update({step: made.saved()})
    assert made.trainer.train()
    before = [step for step in range(1, 5) if step % every == 0][-keep:]
    assert all(seen[step] == before for step in range(5, 11))
    assert seen[11] == [*before, 10][-keep:]  # what was due at 6 or 8 as well
    assert made.saved() == [*before, 10, 12][-keep:] if every == 2 else [11, 12][-keep:]


def test_too_many_in_a_row_leave_the_checkpoints_from_before(make: Make) -> None:
    options = {"save_and_sample_every": 1, "keep_last": 1, "max_nonfinite_steps": 5}
    made = make(range(4, 99), train_num_steps=99, **options)
    with pytest.raises(NonfiniteError, match="at step 8: 5 steps in a row, from 4 on"):
        made.trainer.train()
    assert made.saved() == [3] and made.drawn() == [1, 2, 3]
    again = make(resume=True, train_num_steps=5, **options)
    assert again.trainer.step == 3
    assert again.trainer.train() and again.saved() == [5]


def test_a_scale_that_is_looked_for_holds_checkpoints_up_only_until_it_is_found(
    make: Make,
) -> None:
    found = range(3, 9)
    made = make(found, OVERFLOW, train_num_steps=10, save_and_sample_every=2, keep_last=1)
    made.trainer._nonfinite = NonfiniteSteps(None, scaled=True, limit=3)
    seen: dict[int, list[int]] = {}
    made.step.before = lambda step: seen.update({step: made.saved()})
    assert made.trainer.train()  # more than three in a row, but the scale explains them
    assert [seen[step] for step in range(3, 11)] == [[2]] * 7 + [[9]]
    assert made.saved() == [10] and made.drawn() == [2, 9, 10]
    assert made.trainer._nonfinite.scale == 2.0**16 / 2.0 ** len(found)


def test_what_is_asked_for_in_a_streak_is_saved_and_removes_nothing(make: Make) -> None:
    """By Ctrl-C, and by the end: whoever goes on from it has lost nothing."""
    options = {"save_and_sample_every": 2, "keep_last": 1}
    made = make(range(3, 8), train_num_steps=8, **options)
    made.step.before = lambda step: step == 5 and signal.raise_signal(signal.SIGINT)
    assert not made.trainer.train()
    assert made.saved() == [2, 5] and made.drawn() == [2]
    again = make(range(3, 8), resume=True, train_num_steps=7, **options)
    assert again.trainer.step == 5
    assert again.trainer.train()
    assert again.saved() == [2, 5, 7] and again.drawn() == [2, 7]
    longer = make(resume=True, train_num_steps=8, **options)
    assert longer.trainer.train()
    assert longer.saved() == [8] and longer.drawn() == [2, 7, 8]


@pytest.mark.parametrize(
    "at", [pytest.param(4, marks=pytest.mark.slow), 5, pytest.param(6, marks=pytest.mark.slow)]
)
def test_a_run_that_is_stopped_near_a_streak_goes_on_as_if_undisturbed(
    make: Make, tmp_path: Path, at: int
) -> None:
    """Steps 4 and 5 are left out, and what was due at 4 is saved and drawn at 6."""
    options = {"train_num_steps": 9, "save_and_sample_every": 4, "keep_last": None}
    whole = make((4, 5), results_folder=str(tmp_path / "whole"), **options)
    assert whole.trainer.train()
    assert whole.saved() == [6, 8, 9] == whole.drawn()

    stopped = make((4, 5), **options)
    stopped.step.before = lambda step: step == at and signal.raise_signal(signal.SIGINT)
    assert not stopped.trainer.train() and at in stopped.saved()
    again = make((4, 5), resume=True, **options)
    assert again.trainer.step == at and again.trainer.train()
    assert again.drawn() == whole.drawn()
    assert set(again.saved()) == {*whole.saved(), at}
    for step in whole.saved():
        one, other = (
            load(made.trainer.run.path / "checkpoints" / f"step-{step:08d}")
            for made in (whole, again)
        )
        assert one.state == other.state
        for group, tensors in one.tensors.items():
            for name, values in tensors.items():
                np.testing.assert_array_equal(values, other.tensors[group][name])


def test_a_kill_before_the_samples_of_a_late_checkpoint_loses_none(make: Make) -> None:
    options = {"train_num_steps": 6, "save_and_sample_every": 2}
    made = make((2,), **options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "_draw", lambda *_: signal.raise_signal(signal.SIGINT))
        assert not made.trainer.train()
    assert made.saved() == [3] and made.drawn() == []
    again = make(resume=True, **options)
    assert again.trainer.train() and again.drawn() == [3, 4, 6]


def test_a_list_of_what_was_left_out_that_cannot_be_written_ends_no_run(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make((2,), train_num_steps=3, save_and_sample_every=3)
    made.trainer.run.path.joinpath("nonfinite.jsonl").symlink_to("/dev/full")
    assert made.trainer.train()
    assert "left out: loss nan, gradient norm nan (nonfinite.jsonl cannot be written: No sp" in (
        capsys.readouterr().out
    )


def test_what_is_left_out_is_counted_whatever_the_reason() -> None:
    watch = NonfiniteSteps(None, scaled=True, limit=9)
    for loss, norm, expected in ((0.5, math.inf, 1), (math.nan, 1.0, 2), (0.5, 1.0, 0)):
        watch.note(1, loss, norm)
        assert watch.in_a_row == expected
    watch.note(4, 0.5, math.inf)
    again = NonfiniteSteps(None, scaled=True, limit=9)
    again.restore(json.loads(json.dumps(watch.state())))
    assert again.in_a_row == 1
