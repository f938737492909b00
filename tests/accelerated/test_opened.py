"""Opening a run to draw with: which weights, of which step, and what is said about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ddpm_mindspore import accelerated
from ddpm_mindspore.accelerated import open_run
from ddpm_mindspore.accelerated.config import DIGITS, RunConfig
from ddpm_mindspore.accelerated.ema import power_name
from ddpm_mindspore.accelerated.runs.checkpoint import Checkpoint, save
from ddpm_mindspore.accelerated.runs.folder import RunFolder
from ddpm_mindspore.accelerated.runs.opened import build
from ddpm_mindspore.reference.config import UnetConfig

Arrays = dict[str, np.ndarray]

WIDTHS = (0.05, 0.1)
CONFIG = replace(
    DIGITS,
    image_size=(4, 8),
    network=UnetConfig(dim=4, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=4),
    trainer=replace(DIGITS.trainer, seed=3, ema_sigma_rels=WIDTHS, ema_update_every=10),
)


def arrays(seed: int) -> Arrays:
    config: RunConfig = replace(CONFIG, trainer=replace(CONFIG.trainer, seed=seed))
    return build(config).model.arrays()


def assert_same(actual: Arrays, expected: Arrays) -> None:
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(actual[name], array, name)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with checkpoints of steps 300 and 600; parameters 0 to 9 times the step."""
    folder = RunFolder(tmp_path / "run")
    folder.prepare(resume=False)
    folder.config.write(CONFIG)
    for step in (300, 600):
        powers = {power_name(width): arrays(step + i) for i, width in enumerate(WIDTHS, 2)}
        save(
            folder.path,
            Checkpoint(step, {"model": arrays(step), "ema": arrays(step + 1)} | powers, {}),
        )
    return folder.path


def test_it_opens_with_the_average_of_the_newest_checkpoint(run: Path) -> None:
    opened = open_run(run)
    assert (opened.step, opened.weights, opened.remarks) == (600, "average", ())
    assert opened.config == CONFIG
    assert opened.diffusion.shape == (1, 4, 8) and opened.diffusion.seed == 3
    assert opened.diffusion.config == CONFIG.diffusion
    assert opened.diffusion.model.config == CONFIG.network
    assert_same(opened.diffusion.model.arrays(), arrays(601))
    assert_same(open_run(str(run)).diffusion.model.arrays(), arrays(601))


def test_weights_step_and_length_are_the_callers_choice(run: Path) -> None:
    trained = open_run(run, weights="trained")
    assert (trained.step, trained.weights) == (600, "trained")
    assert_same(trained.diffusion.model.arrays(), arrays(600))
    older = open_run(run, step=300)
    assert older.step == 300
    assert_same(older.diffusion.model.arrays(), arrays(301))
    longer = open_run(run, ema=0.1, step=300)
    assert (longer.step, longer.weights) == (300, "average over 0.1 of training")
    assert "of 2 snapshots; its profile is 0.00% off" in longer.remarks[0]
    expected = arrays(303)
    for name, array in longer.diffusion.model.arrays().items():
        np.testing.assert_allclose(array, expected[name], atol=1e-5)


def test_what_cannot_be_opened_is_refused(run: Path) -> None:
    with pytest.raises(ValueError, match="weights 'ema' is unknown: choose average or trained"):
        open_run(run, weights="ema")
    with pytest.raises(ValueError, match="has no checkpoint of step 400: it has 300, 600"):
        open_run(run, step=400)
    with pytest.raises(ValueError, match="no checkpoint of step 400 to make an average from"):
        open_run(run, ema=0.1, step=400)
    with pytest.raises(ValueError, match=r"ema 0\.1 is the length of an average: leave weights"):
        open_run(run, ema=0.1, weights="trained")
    with pytest.raises(ValueError, match=r"ema 0\.5 must be above 0 and at most 0\.28"):
        open_run(run, ema=0.5)
    with pytest.raises(ValueError, match="is not a run folder"):
        open_run(run / "nothing")
    for path in run.glob("checkpoints/*/state.json"):
        path.unlink()
    with pytest.raises(ValueError, match="no checkpoint that can be loaded"):
        open_run(run)


def test_what_is_to_know_about_the_weights_is_said(run: Path) -> None:
    (run / "checkpoints" / "step-00000600" / "ema.safetensors").write_bytes(b"")
    save(run, Checkpoint(55, {"model": arrays(55), "ema": arrays(56)}, {}))
    (passed_over,) = open_run(run).remarks
    assert passed_over.startswith("passed over a checkpoint: ") and "step-00000600" in passed_over
    (early,) = open_run(run, step=55).remarks
    assert early.startswith(
        "the average at step 55 is still a copy of the parameters after step 51"
    )
    assert open_run(run, step=55, weights="trained").remarks == ()
    save(run, Checkpoint(55, {"ema": arrays(56)}, {"imported_from": "w.pt"}))
    assert open_run(run, step=55).remarks == ()  # how that average was made is not known


def test_it_stands_at_the_door() -> None:
    images = {"GaussianDiffusion", "Trainer", "Unet"}
    others = {"Mlp", *(f"{name}1D" for name in images)}
    assert set(accelerated.__all__) == images | others | {"open_run"}
    assert all(callable(getattr(accelerated, name)) for name in accelerated.__all__)
