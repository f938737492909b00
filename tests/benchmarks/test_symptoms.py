"""What the pictures of symptoms are made with exists, and the nearest image is found."""

from __future__ import annotations

import numpy as np
import pytest

from ddpm_mindspore.accelerated.commands.parse import parse
from ddpm_mindspore.accelerated.config import DIGITS, FOLDER, RunConfig
from ddpm_mindspore.accelerated.data import load_digits
from ddpm_mindspore.reference.config import SamplingConfig
from ddpm_mindspore.reference.schedule import make_schedule

from . import tinted
from .symptoms import FEW, REASONS, RUNS, nearest


@pytest.mark.parametrize("name", RUNS)
def test_a_run_can_be_made(name: str) -> None:
    start = FOLDER if name == "few" else DIGITS
    config = parse(RunConfig, "train", "", list(RUNS[name]), start)
    assert config.network == DIGITS.network and config.image_size == 8


def test_every_reason_has_its_run_and_can_be_drawn() -> None:
    assert {reason.run for reason in REASONS} == set(RUNS)
    for reason in REASONS:
        SamplingConfig().but(**reason.options)


def test_the_nearest_of_a_noisy_digit_is_that_digit() -> None:
    real = load_digits()[:FEW]
    order = np.random.default_rng(0).permutation(FEW)
    noisy = np.clip(real[order].astype(int) + 3, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(nearest(noisy, real), real[order])


@pytest.mark.parametrize("name", tinted.RUNS)
def test_a_tinted_run_can_be_made(name: str) -> None:
    options = ["--data", "skies", *tinted.NETWORK, *tinted.RUNS[name]]
    config = parse(RunConfig, "train", "", options, FOLDER)
    schedule = make_schedule(
        config.diffusion.beta_schedule,
        config.diffusion.timesteps,
        zero_terminal_snr=config.diffusion.zero_terminal_snr,
    )
    assert round(100 * schedule.sqrt_alpha_bar[-1]) == (7 if name.startswith("7 %") else 0)


def test_skies_are_mostly_night_ones() -> None:
    skies = tinted.skies(400)
    light = skies[:, 0, 0, 0] / 255.0
    assert skies.shape == (400, 3, 16, 16) and skies.dtype == np.uint8
    assert np.median(light) < 0.25 and light.max() > 0.9
    shown = tinted.spread(skies).mean(axis=(1, 2, 3))
    assert len(shown) == tinted.SHOWN and np.all(np.diff(shown) >= 0)
    np.testing.assert_array_equal(skies[:, :, :4], skies[:, :, :1, :1].repeat(4, 2).repeat(16, 3))
