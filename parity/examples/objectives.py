"""What a network is to predict, and how its errors are weighted."""

from __future__ import annotations

from hypothesis import strategies as st

from ...reference.objective import LOSSES, OBJECTIVES
from .schedules import IMAGES, process_cases
from .values import Case


@st.composite
def objective_cases(draw: st.DrawFn) -> Case:
    """A batch at some times of a schedule, and an objective."""
    objective = draw(st.sampled_from(OBJECTIVES))
    return {**draw(process_cases(objective)), "objective": objective}


@st.composite
def weights(draw: st.DrawFn, objective: str) -> Case:
    """A rule for the weight of the loss, where it has none of its own: none, p2 or min-SNR."""
    rule = "none" if objective == "x0_v_loss" else draw(st.sampled_from(("none", "p2", "min_snr")))
    if rule == "p2":
        gamma, k = draw(st.sampled_from(((1.0, 1.0), (0.5, 0.25), (2.0, 3.0))))
        return {"p2_loss_weight_gamma": gamma, "p2_loss_weight_k": k}
    if rule == "min_snr":
        gamma = draw(st.sampled_from((5.0, 1.0, 0.1)))
        return {"min_snr_loss_weight": True, "min_snr_gamma": gamma}
    return {}


@st.composite
def loss_cases(draw: st.DrawFn) -> Case:
    """The same with a kind of error and a weight."""
    case, loss_type = draw(objective_cases()), draw(st.sampled_from(LOSSES))
    return {**case, "loss_type": loss_type, "weight": draw(weights(case["objective"]))}


CONVERSIONS: list[Case] = [{**IMAGES, "objective": objective} for objective in OBJECTIVES]

RULES: list[Case] = [
    {"min_snr_loss_weight": True, "min_snr_gamma": 0.5},
    {"p2_loss_weight_gamma": 1.0, "p2_loss_weight_k": 1.0},
    {},
    {"p2_loss_weight_gamma": 1.0, "p2_loss_weight_k": 1.0},
    {"min_snr_loss_weight": True, "min_snr_gamma": 0.5},
    {},
]

LOSS_CASES: list[Case] = [
    # At odd times of about equal weights: the weight at t = 1 would hide that of t = 3999.
    {**IMAGES, "t": (2049, 2051), "objective": objective, "loss_type": loss_type, "weight": rule}
    for objective, loss_type, rule in zip(OBJECTIVES, 2 * LOSSES, RULES, strict=True)
]
