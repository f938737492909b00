"""Updates: rates, moments and averages."""

from __future__ import annotations

from hypothesis import strategies as st

from .values import Case, seeds


@st.composite
def optimizers(draw: st.DrawFn) -> Case:
    """Adam, clipping, warm-up and average, such that a few updates see all of it.

    Where |g| is near eps, the update is a smooth function of the gradient g. With the usual 1e-8 it
    is a sign, which the last bit decides wherever g is about 0: then nothing could be compared.
    """
    return {
        "lr": draw(st.sampled_from((1e-2, 1e-3))),
        "warmup_steps": draw(st.sampled_from((3, 0))),
        "lr_schedule": draw(st.sampled_from(("constant", "cosine"))),
        "train_num_steps": draw(st.sampled_from((5, 3))),
        "weight_decay": draw(st.sampled_from((1.0, 0.0))),
        "adam_betas": draw(st.sampled_from(((0.9, 0.99), (0.5, 0.999), (0.0, 0.9)))),
        "adam_eps": draw(st.sampled_from((1e-2, 1e-1))),
        "max_grad_norm": draw(st.sampled_from((0.1, 1.0, 1e6))),
        "ema_decay": draw(st.sampled_from((0.995, 0.4))),
        "ema_update_every": draw(st.sampled_from((1, 2))),
        "ema_update_after_step": draw(st.sampled_from((1, 0))),
    }


def _left_out(spoiled: str, pieces: bool) -> Case:
    """Four updates of all options, of which one is left out."""
    optimizer = {
        **{"lr": 1e-2, "warmup_steps": 3, "lr_schedule": "cosine", "train_num_steps": 5},
        **{"weight_decay": 1.0, "adam_betas": (0.9, 0.99), "adam_eps": 1e-2, "max_grad_norm": 1.0},
        **{"ema_decay": 0.4, "ema_update_every": 1, "ema_update_after_step": 0},
    }
    return {
        **{"shapes": ((3, 4), (5,)), "steps": 4, "scale": 1.0, "optimizer": optimizer},
        **{"ema_sigma_rels": (0.05, 0.1), "seed": 0, "pieces": pieces, "spoiled": spoiled},
    }


LEFT_OUT = [_left_out("gradient", True), _left_out("loss", False)]
"""Drawn ones may have no NaN."""


@st.composite
def optimizer_cases(draw: st.DrawFn) -> Case:
    """Some tensors and some updates of them."""
    return {
        "shapes": draw(
            st.sampled_from(
                (((3, 4), (5,)), ((1,),), ((2, 2, 3, 3), (1, 2), (7,)), ((70_003,), (5,)))
            )
        ),
        "steps": draw(st.sampled_from((4, 1))),
        "scale": draw(st.sampled_from((0.1, 1.0, 1e-3))),
        "optimizer": draw(optimizers()),
        "ema_sigma_rels": draw(st.sampled_from(((0.05, 0.1), (), (0.28,), (0.01, 0.2)))),
        "seed": draw(seeds()),
        "pieces": draw(st.booleans()),
        "spoiled": draw(st.sampled_from(("", "gradient", "loss"))),
    }


def sigma_rels() -> st.SearchStrategy[float]:
    """Lengths of averages as a share of training, from a few steps of a thousand to its most."""
    return st.sampled_from((0.05, 0.1, 0.28, 0.005)) | st.floats(0.005, 0.28)


@st.composite
def reconstruction_cases(draw: st.DrawFn) -> Case:
    """Averages of one or two lengths after some steps, and the length of one that was not kept."""
    apart = draw(st.sampled_from((1000, 1, 37)))
    widths = draw(st.sampled_from(((0.05, 0.1), (0.1,), (0.2, 0.03))))
    steps = [apart * i for i in range(1, draw(st.sampled_from((4, 1, 12))) + 1)]
    return {
        "snapshots": tuple((step, width) for step in steps for width in widths),
        "sigma_rel": draw(sigma_rels()),
        "shape": draw(st.sampled_from(((3, 4), (1,)))),
        "seed": draw(seeds()),
    }


RECONSTRUCTIONS: list[Case] = [
    {
        "snapshots": tuple((step, width) for step in (10, 20, 30) for width in (0.05, 0.1)),
        **{"sigma_rel": 0.15, "shape": (3, 4), "seed": 0},
    }
]
