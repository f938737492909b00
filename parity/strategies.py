"""What the properties are tried on: the only place with Hypothesis strategies.

Everything drawn is a plain number, string or tuple, so that an example can be written in one line;
arrays come from a seed. Shapes and lengths of schedules come from short lists, which hold the edge
cases and keep the number of compiled graphs small; seeds, times and scales roam freely.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from ..reference.objective import LOSSES, OBJECTIVES
from ..reference.schedule import SCHEDULES, spaced_timesteps

Case = dict[str, Any]

EXAMPLES = 20
NIGHTLY_EXAMPLES = 400


@dataclass
class Budget:
    """How many examples a cheap property gets, and whether every run draws the same ones."""

    examples: int = EXAMPLES
    fixed: bool = True


BUDGET = Budget()
"""Set by ``conftest.py`` before the properties are imported."""


def examples(share: float = 1.0) -> Callable[[Any], Any]:
    """Settings of a property that gets ``share`` of the budget.

    A small share means that an example costs seconds: then its failure is reported as it was drawn,
    since hundreds of attempts to shrink it would take many minutes.
    """
    phases = [Phase.explicit, Phase.generate] + [Phase.shrink] * (share == 1.0)
    return settings(
        max_examples=max(1, round(BUDGET.examples * share)),
        derandomize=BUDGET.fixed,
        database=None,
        deadline=None,
        print_blob=False,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def seeds() -> st.SearchStrategy[int]:
    return st.integers(0, 2**16)


def scales() -> st.SearchStrategy[float]:
    """From exactly nothing to far beyond any image."""
    return st.sampled_from((1.0, 0.0, 1e-30, 1e-3, 1e6))


def lengths() -> st.SearchStrategy[int]:
    """T, among them the shortest and a longer one than anybody trains with."""
    return st.sampled_from((1, 2, 4, 20, 1000, 4000)) | st.integers(3, 60)


def shapes() -> st.SearchStrategy[tuple[int, int, int]]:
    """(C, H, W)."""
    return st.sampled_from(((1, 1, 1), (1, 2, 2), (3, 4, 4), (2, 3, 5), (3, 8, 6)))


def times(T: int, max_size: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    """t of each image of a batch: any of 1..T, the two ends often."""
    entry = st.sampled_from((1, T)) | st.integers(1, T)
    return st.lists(entry, min_size=1, max_size=max_size).map(tuple)


@st.composite
def process_cases(draw: st.DrawFn, *, zero_snr: bool = True) -> Case:
    """A batch at some times of a schedule; ``zero_snr``: whether alpha_bar_T may be 0."""
    case = draw(gather_cases())
    return {
        **case,
        "zero_snr": case["zero_snr"] and zero_snr,
        "shape": draw(shapes()),
        "scale": draw(scales()),
        "seed": draw(seeds()),
    }


@st.composite
def gather_cases(draw: st.DrawFn) -> Case:
    """Times of a schedule."""
    T = draw(lengths())
    return {
        "schedule": draw(st.sampled_from(SCHEDULES)),
        "T": T,
        "zero_snr": draw(st.booleans()),
        "t": draw(times(T)),
    }


@st.composite
def objective_cases(draw: st.DrawFn) -> Case:
    """The same with an objective; eps tells x_0 only where alpha_bar_T is not 0."""
    objective = draw(st.sampled_from(OBJECTIVES))
    return {
        **draw(process_cases(zero_snr=objective != "pred_noise")),
        "objective": objective,
    }


@st.composite
def weights(draw: st.DrawFn) -> Case:
    """A rule for the weight of the loss: none, p2 or min-SNR."""
    rule = draw(st.sampled_from(("none", "p2", "min_snr")))
    if rule == "p2":
        return {
            "p2_loss_weight_gamma": draw(st.sampled_from((0.5, 1.0, 2.0))),
            "p2_loss_weight_k": draw(st.sampled_from((1.0, 0.25, 3.0))),
        }
    if rule == "min_snr":
        return {
            "min_snr_loss_weight": True,
            "min_snr_gamma": draw(st.sampled_from((5.0, 1.0, 0.1))),
        }
    return {}


@st.composite
def loss_cases(draw: st.DrawFn) -> Case:
    """The same with a kind of error and a weight."""
    return {
        **draw(objective_cases()),
        "loss_type": draw(st.sampled_from(LOSSES)),
        "weight": draw(weights()),
    }


@st.composite
def weight_cases(draw: st.DrawFn) -> Case:
    """A schedule, an objective and a rule."""
    objective = draw(st.sampled_from(OBJECTIVES))
    return {
        "schedule": draw(st.sampled_from(SCHEDULES)),
        "T": draw(lengths()),
        "zero_snr": objective != "pred_noise" and draw(st.booleans()),
        "objective": objective,
        "weight": draw(weights()),
    }


@st.composite
def step_cases(draw: st.DrawFn) -> Case:
    """One step of a sampler, from t down to s >= 1."""
    case = draw(_sampler_cases(st.sampled_from((2, 4, 20, 1000, 4000)) | st.integers(3, 60)))
    t = draw(st.sampled_from((2, case["T"])) | st.integers(2, case["T"]))
    return {**case, "timesteps": (t, draw(st.sampled_from((1, t - 1)) | st.integers(1, t - 1)))}


@st.composite
def trajectory_cases(draw: st.DrawFn) -> Case:
    """A whole walk: every step of a short schedule, or at most seven of a long one."""
    case = draw(_sampler_cases(lengths()))
    T = case["T"]
    n = draw(st.integers(1, min(T, 7)))
    few = st.sets(st.integers(1, T), min_size=1, max_size=7).map(lambda s: sorted(s, reverse=True))
    return {**case, "timesteps": draw(st.just(spaced_timesteps(T, n)) | few.map(tuple))}


@st.composite
def _sampler_cases(draw: st.DrawFn, lengths: st.SearchStrategy[int]) -> Case:
    objective = draw(st.sampled_from(OBJECTIVES))
    return {
        "sampler": draw(st.sampled_from(("ancestral", "ddim"))),
        "schedule": draw(st.sampled_from(SCHEDULES)),
        "T": draw(lengths),
        "zero_snr": objective != "pred_noise" and draw(st.booleans()),
        "objective": objective,
        "eta": draw(st.sampled_from((0.0, 0.3, 1.0))),
        "clip": draw(st.booleans()),
        "self_cond": draw(st.sampled_from((0.0, 0.25))),
        "shape": draw(st.sampled_from(((1, 2, 2), (2, 3, 5)))),
        "batch": draw(st.integers(1, 3)),
        "spread": draw(st.sampled_from((0.3, 0.0, 2.0))),
        "seed": draw(seeds()),
    }
