"""More fixed examples, of kinds: every run tries each before it draws.

What is drawn depends on chance, and the default is few: a value of a short list may come late or
never, and an error that shows with it alone would pass. So each kind of objective, weight, loss,
sampler and operator is tried at least once, with values that hide nothing: several images at
unequal times, other weights at each, estimates beyond the clip; times beyond 2048, where float16
knows even numbers only: there t or t - 1 is odd.
"""

from __future__ import annotations

from typing import Any

from ...reference.objective import LOSSES, OBJECTIVES
from .strategies import Case

LONG: Case = {"schedule": "cosine", "T": 4000, "zero_snr": False, "t": (2050, 3999, 1)}
IMAGES: Case = {**LONG, "shape": (2, 3, 5), "scale": 1.0, "seed": 1}

GATHERS: list[Case] = [LONG, {**LONG, "schedule": "sigmoid", "T": 20, "zero_snr": True, "t": (20,)}]
CONVERSIONS: list[Case] = [{**IMAGES, "objective": objective} for objective in OBJECTIVES]

RULES: list[Case] = [
    {"min_snr_loss_weight": True, "min_snr_gamma": 0.5},
    {"p2_loss_weight_gamma": 1.0, "p2_loss_weight_k": 1.0},
    {},
]
LOSS_CASES: list[Case] = [
    # At odd times of about equal weights: the weight at t = 1 would hide that of t = 3999.
    {**IMAGES, "t": (2049, 2051), "objective": objective, "loss_type": loss_type, "weight": rule}
    for objective, loss_type, rule in zip(OBJECTIVES, LOSSES, RULES, strict=True)
]


def _walk(sampler: str, objective: str, timesteps: tuple[int, ...], **options: Any) -> Case:
    return {
        **{"sampler": sampler, "objective": objective, "timesteps": timesteps, "eta": 0.5},
        **{"schedule": "cosine", "T": 50, "zero_snr": False, "clip": True, "self_cond": 0.25},
        **{"shape": (2, 3, 5), "batch": 2, "spread": 2.0, "seed": 1},
        **options,
    }


TRAJECTORIES: list[Case] = [
    _walk("ddim", "pred_v", (50, 30, 20, 10)),
    _walk("ancestral", "pred_noise", (50, 30, 20, 10), clip=False),
    _walk("ddim", "pred_x0", (4000, 2050, 1000), T=4000, eta=0.0),
]
STEPS: list[Case] = [
    _walk("ddim", "pred_v", (30, 20)),
    _walk("ancestral", "pred_x0", (2050, 2049), T=4000, clip=False),
]

RECONSTRUCTIONS: list[Case] = [
    {
        "snapshots": tuple((step, width) for step in (10, 20, 30) for width in (0.05, 0.1)),
        **{"sigma_rel": 0.15, "shape": (3, 4), "seed": 0},
    }
]


def stock(**options: Any) -> list[Case]:
    """A layer of MindSpore's own operators, which are drawn half of the time at most."""
    case = {"dims": (6, 8), "size": (4, 6), "batch": 2, "scale": 1.0, "seed": 1}
    return [{**case, "kernels": "stock", **options}]


NET: Case = {
    **{"dim": 4, "dim_mults": (1,), "channels": 1, "self_condition": True},
    **{"attn_heads": 1, "attn_dim_head": 4},
}
GRADIENTS: list[Case] = [
    {
        **{"net": NET, "size": (2, 3), "schedule": ("cosine", 4000, False), "t": (2050, 3999, 1)},
        **{"loss": {"objective": "pred_v", "loss_type": "l2"}, "seed": 1},
    }
]

# Left out when the moments are not zero and the average has something to move to.
LEFT_OUT: list[Case] = [
    {
        **{"net": NET, "size": (1, 1), "batch": 1, "accumulate": 1, "count": 3},
        **{"schedule": ("cosine", 1000, False), "seed": 1, "scale": 1024.0, "spoiled": (3,)},
        "training": {
            **{"objective": "pred_v", "lr": 1e-2, "weight_decay": 1.0, "adam_betas": (0.9, 0.99)},
            **{"adam_eps": 1e-2, "max_grad_norm": 0.1, "ema_decay": 0.4},
            **{"ema_update_every": 1, "ema_update_after_step": 0, "warmup_steps": 0},
        },
    }
]
