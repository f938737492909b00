"""The account of updates that were left out, and when training has to stop."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, load_newest
from ddpm_mindspore.accelerated.trainer.nonfinite import NonfiniteError, NonfiniteSteps, is_finite
from ddpm_mindspore.reference.precision import LossScale

NAN, INF = math.nan, math.inf


def nonfinite(
    folder: Path | None = None, *, scaled: bool = False, limit: int = 3
) -> NonfiniteSteps:
    return NonfiniteSteps(
        folder, scaled=scaled, limit=limit, describe=lambda step: {"indices": [step, 7]}
    )


def lines(folder: Path) -> list[dict[str, object]]:
    text = (folder / "nonfinite.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("loss", "norm", "expected"),
    [
        (1.0, 2.0, True),
        (NAN, 2.0, False),
        (1.0, INF, False),
        (-INF, INF, False),
        (3e38, 3e38, False),
    ],
)
def test_an_update_is_applied_where_loss_and_norm_are_finite(
    loss: float, norm: float, expected: bool
) -> None:
    assert is_finite(loss, norm) is expected


def test_what_is_left_out_is_noted_with_what_it_was_made_of(tmp_path: Path) -> None:
    watch = nonfinite(tmp_path)
    assert watch.note(1, 0.5, 1.0) == ""
    assert watch.note(2, NAN, INF) == "step 2 left out: loss nan, gradient norm inf"
    assert watch.note(3, 0.5, INF) != ""
    assert watch.skipped == 2
    assert lines(tmp_path) == [
        {"step": 2, "loss": "nan", "grad_norm": "inf", "loss_scale": 1.0, "indices": [2, 7]},
        {"step": 3, "loss": 0.5, "grad_norm": "inf", "loss_scale": 1.0, "indices": [3, 7]},
    ]


def test_too_many_in_a_row_stop_training(tmp_path: Path) -> None:
    watch = nonfinite(tmp_path)
    for step in (1, 2, 4, 5):  # 3 is good, and the row begins anew
        watch.note(step, NAN, 1.0)
        if step == 2:
            watch.note(3, 1.0, 1.0)
    with pytest.raises(NonfiniteError, match=f"at step 6: 3 .* from 4 on.*{tmp_path} --step 4"):
        watch.note(6, NAN, 1.0)
    assert [line["step"] for line in lines(tmp_path)] == [1, 2, 4, 5, 6]


def test_an_overflow_of_a_scaled_gradient_halves_the_scale_and_is_no_reason_to_stop(
    tmp_path: Path,
) -> None:
    watch = nonfinite(tmp_path, scaled=True, limit=1)
    assert watch.scale == 65536.0
    assert watch.note(1, 0.5, INF) == (
        "step 1 left out: the gradient overflows, the loss scale is 32768"
    )
    for step in range(2, 17):
        watch.note(step, 0.5, INF)
    assert (watch.scale, watch.skipped) == (1.0, 16)
    assert not (tmp_path / "nonfinite.jsonl").exists()
    with pytest.raises(NonfiniteError):  # now there is nothing left to blame the scale for
        watch.note(17, 0.5, INF)


def test_a_loss_that_is_not_finite_is_not_the_scales_fault(tmp_path: Path) -> None:
    watch = nonfinite(tmp_path, scaled=True, limit=1)
    with pytest.raises(NonfiniteError):
        watch.note(1, NAN, INF)
    assert watch.scale == 32768.0


def test_without_a_scale_the_loss_is_left_alone() -> None:
    watch = nonfinite()
    for step in range(1, 2100):
        watch.note(step, 0.5, 1.0)
    assert watch.scale == 1.0


@pytest.mark.parametrize("scaled", [False, True])
def test_its_state_goes_through_json_and_back(scaled: bool) -> None:
    watch = nonfinite(scaled=scaled)
    for step in range(1, 20):
        watch.note(step, 0.5, INF if step < 18 and scaled else 1.0)
    watch.note(20, NAN, NAN)
    again = nonfinite(scaled=scaled)
    again.restore(json.loads(json.dumps(watch.state(), allow_nan=False)))
    assert again.state() == watch.state()
    assert (again.scale, again.skipped) == (watch.scale, watch.skipped)
    assert again.state()["nonfinite_in_a_row"] == 1
    assert watch.scale == 1.0


def test_good_updates_in_a_row_go_on_counting_where_they_were() -> None:
    watch = nonfinite(scaled=True)
    for step in range(1, 2000):
        watch.note(step, 0.5, 1.0)
    again = nonfinite(scaled=True)
    again.restore(watch.state())
    assert again.scale == watch.scale == 65536.0
    again.note(2000, 0.5, 1.0)
    assert again.scale == 131072.0


def test_a_checkpoint_from_before_is_a_start_with_nothing_left_out() -> None:
    watch = nonfinite(scaled=True)
    watch.restore({})
    assert watch.state() == nonfinite(scaled=True).state()


def test_a_run_that_turns_to_half_precision_starts_with_the_first_scale() -> None:
    watch = nonfinite(scaled=True)
    watch.restore(nonfinite(scaled=False).state())
    assert watch.scale == 65536.0


def test_parameters_that_are_not_finite_are_never_saved() -> None:
    good = Checkpoint(3, {"model": {"w": np.ones(2, np.float32)}}, {})
    assert nonfinite().check(good) is good
    bad = Checkpoint(3, {"model": {}, "ema": {"w": np.array([1, NAN], np.float32)}}, {})
    with pytest.raises(NonfiniteError, match=r"step 3: .w. of .ema.*Nothing was saved"):
        nonfinite().check(bad)


@pytest.mark.slow
def test_a_gradient_that_overflows_on_the_device_halves_the_scale_and_changes_nothing(
    tmp_path: Path,
) -> None:
    network = Unet(8, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=8)
    trainer = Trainer(
        GaussianDiffusion(network, image_size=8, timesteps=20, sampling_timesteps=2),
        np.random.default_rng(0).random((8, 1, 8, 8), np.float32),
        amp_level="O2",
        amp_dtype="float16",
        train_batch_size=4,
        train_num_steps=60,
        ema_update_after_step=0,
        ema_update_every=1,
        num_samples=1,
        results_folder=str(tmp_path / "run"),
    )
    too_large = 2.0**40  # float16 ends at 2^16
    trainer._nonfinite._scale = LossScale(too_large)
    waiter = trainer._train_step.waiter()
    before = trainer._optimizer.vectors()
    while True:
        done = trainer._update(trainer._batches(trainer.step + 1), waiter)
        after = trainer._optimizer.vectors()
        if not trainer._nonfinite.note(done.step, done.loss, done.grad_norm):
            break
        assert np.isfinite(done.loss) and not np.isfinite(done.grad_norm)
        for name, vector in after.items():
            np.testing.assert_array_equal(vector, before[name], name)
    left_out = done.step - 1
    assert 10 < left_out < 40
    assert trainer._nonfinite.scale == too_large / 2.0**left_out
    assert trainer._nonfinite.skipped == left_out
    assert not (tmp_path / "run" / "nonfinite.jsonl").exists()  # a scale explains them
    assert all((vector != before[name]).any() for name, vector in after.items())

    assert trainer.train()
    state = load_newest(tmp_path / "run").checkpoint.state
    assert state["skipped_steps"] >= left_out
    assert 1.0 < state["loss_scale"] <= too_large / 2.0**left_out
