"""What sampling means where nothing is said, and which configurations contradict themselves."""

from __future__ import annotations

from typing import Any

import pytest

from ddpm_mindspore.reference.config import SamplingConfig
from ddpm_mindspore.reference.config.sampling import DEFAULT_SAMPLER, DEFAULT_SPACING, DEFAULT_STEPS
from ddpm_mindspore.reference.schedule import make_schedule
from ddpm_mindspore.reference.spacing import make_timesteps


def test_nothing_said_is_the_default_in_at_most_20_steps() -> None:
    nothing = SamplingConfig()
    assert nothing.name == DEFAULT_SAMPLER
    assert (nothing.steps(1000), nothing.rule) == (DEFAULT_STEPS, DEFAULT_SPACING)
    assert DEFAULT_STEPS <= 20


@pytest.mark.parametrize("T", [1, 2, 7, DEFAULT_STEPS])
def test_fewer_steps_than_the_default_are_all_taken(T: int) -> None:
    """And at the times that the network was trained with."""
    sampling = SamplingConfig()
    assert sampling.steps(T) == T
    times = make_timesteps(make_schedule("sigmoid", T), T, sampling.rule)
    assert times == (*range(T, 0, -1),)


def test_ancestral_takes_all_steps_and_eta_means_ddim() -> None:
    ancestral = SamplingConfig(sampler="ancestral")
    assert (ancestral.steps(1000), ancestral.rule) == (1000, "uniform")
    assert SamplingConfig(sampler="heun").rule == "log_snr"
    ddim = SamplingConfig(eta=0.5)
    assert (ddim.name, ddim.steps(1000), ddim.rule) == ("ddim", DEFAULT_STEPS, "uniform")


def test_times_that_are_given_are_as_many_steps() -> None:
    listed = SamplingConfig(spacing="900,300.5,1")
    assert listed.steps(1000) == 3
    assert listed.rule == (900.0, 300.5, 1.0)
    assert listed.but(sampling_timesteps=5).rule == DEFAULT_SPACING
    assert SamplingConfig(sampling_timesteps=9).but(spacing="9,3").steps(1000) == 2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"spacing": ()}, "must hold the times"),
        ({"spacing": (9, 9)}, "spacing 9,9 must descend, to at least 1"),
        ({"spacing": (9, 0.5)}, "spacing 9,0.5 must descend, to at least 1"),
        ({"spacing": "9,3", "sampling_timesteps": 3}, "contradict each other: leave one out"),
        ({"sampler": "unipc", "order": 1}, "choose 2 or 3"),
        ({"sampler": "heun", "s_tmin": 2, "s_tmax": 1}, "s_tmin 2.0 is above s_tmax 1.0"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SamplingConfig(**options)


def test_times_above_the_last_are_refused_when_it_is_known() -> None:
    with pytest.raises(ValueError, match="spacing 1001,4 must begin at timesteps, which is 1000"):
        SamplingConfig(spacing="1001,4").steps(1000)
