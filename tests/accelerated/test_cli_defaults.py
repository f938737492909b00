"""What options start from, in the process itself: the commands are tested in test_cli.py."""

from __future__ import annotations

from ddpm_mindspore.accelerated.commands.defaults import train_defaults
from ddpm_mindspore.accelerated.commands.presets import CAPTIONED, PRESETS, SCENES
from ddpm_mindspore.accelerated.config import DIGITS, FOLDER
from ddpm_mindspore.accelerated.data import BUILT_IN, open_images
from ddpm_mindspore.accelerated.samplers import plan_for
from ddpm_mindspore.reference.schedule import make_schedule


def test_without_options_the_digits_are_trained_on() -> None:
    assert train_defaults([]) is DIGITS
    assert train_defaults(["--steps", "3"]) is DIGITS
    assert train_defaults(["--data", "digits"]) is DIGITS


def test_what_comes_with_the_package_has_presets_of_its_own() -> None:
    assert train_defaults(["--data", "scenes"]) is SCENES
    for name, preset in PRESETS.items():
        images = open_images(name, preset.sides, preset.network.channels)
        assert (preset.data, images.shape[1:]) == (name, preset.sides)
    assert set(PRESETS) == set(BUILT_IN)


def test_a_folder_has_defaults_of_its_own() -> None:
    assert train_defaults(["--data", "photos"]) is FOLDER
    assert train_defaults(["--data", "photos", "--caption-encoding", "gbk"]) is CAPTIONED
    assert train_defaults(["--data=photos", "--steps", "3"]) is FOLDER
    assert train_defaults(["--data", "digits", "--data", "photos"]) is FOLDER
    assert train_defaults(["--data"]) is DIGITS  # the parser says what is missing


def test_drawing_without_options_asks_the_network_at_most_20_times() -> None:
    for preset in (*PRESETS.values(), FOLDER):
        config = preset.diffusion
        schedule = make_schedule(config.beta_schedule, config.timesteps)
        assert len(plan_for(schedule, preset.sampling)) <= 20
