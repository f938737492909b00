"""``Trainer`` sets the precision that it was asked for, and does not compute in float32 anyway."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddpm_mindspore.accelerated import precision
from ddpm_mindspore.accelerated.trainer.loop import Trainer
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, door_device, door_run
from ddpm_mindspore.parity.sides import door as reference

NET: dict[str, Any] = {
    "dim": 4,
    "dim_mults": (1,),
    "channels": 1,
    "attn_heads": 1,
    "attn_dim_head": 4,
}


@budget.examples(0.05)
@given(level=st.sampled_from(("O1", "O2", "O3")), params=st.integers(0, 2**16))
@example(level="O2", params=3)
def test_levels(level: str, params: int) -> None:
    """a network drawn from in float16: within its bounds, and beyond those of float32"""
    try:
        precision.check_dtype("float16")
    except ValueError as error:
        pytest.skip(str(error))
    levels(level=level, params=params)


@budget.examples(0.05)
@given(level=st.sampled_from(("O1", "O2", "O3")), params=st.integers(0, 2**16))
@example(level="O1", params=3)
def test_bfloat16_levels(level: str, params: int) -> None:
    """a network drawn from in bfloat16: within its bounds, and beyond those of float32"""
    try:
        arrays = precision.check_dtype("bfloat16")
    except ValueError as error:
        pytest.skip(str(error))
    levels(level=level if arrays else "O1", params=params, dtype="bfloat16")


@reproducible
def levels(level: str, params: int, dtype: str = "float16") -> None:
    """One estimate of x_0 from noise, one operator at a time."""
    diffusion = {"timesteps": 2, "sampling_timesteps": 1, "clip_denoised": False}
    trainer: dict[str, Any] = {"amp_level": level, "amp_dtype": dtype}
    door = door_device.door(NET, diffusion, trainer, (2, 3), small=False)
    values = door_device.parameters(door, params)

    def function(arrays: Arrays) -> Arrays:
        return {"images": reference.samples(door, arrays, 0, range(2))}

    expected, bounds = deep(function, values, dtype)
    single = deep(function, values)[1]["images"]
    made = door_device.diffusion(door)
    made.model.load_arrays(values)
    with tempfile.TemporaryDirectory() as folder, device.eager(), door_run.quiet():
        images = np.zeros((2, *door.shape), np.uint8)
        Trainer(made, images, results_folder=folder, **trainer)
        actual = made.sample(2)
    check(f"images in {level}", actual, expected["images"], bounds["images"])
    error = float(np.max(np.abs(actual - expected["images"])))
    ratio = single / error if error else np.inf
    check(f"the bound of float32, as a share of the error in {level}", ratio, 0.0, 1.0)
