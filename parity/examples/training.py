"""Networks that are trained: gradients, steps, and steps of several processes."""

from __future__ import annotations

from hypothesis import strategies as st

from ...reference.config.diffusion import OBJECTIVES
from .networks import networks, sizes
from .objectives import weights
from .optimizers import optimizers
from .schedules import LONG, schedules, times
from .values import Case, scales, seeds


@st.composite
def gradient_cases(
    draw: st.DrawFn, first: tuple[str, ...] = ("self_condition", "dropout", "num_classes")
) -> Case:
    """A network that can be trained, a schedule, a batch and a loss.

    l1 is left out: its derivative jumps where the error of a pixel is 0, which a rounding decides.
    """
    drawn = draw(networks((1, 2), first))
    net = {k: v for k, v in drawn.items() if k != "out_dim"}
    objective = draw(st.sampled_from(OBJECTIVES))
    schedule = draw(schedules(objective, st.sampled_from((4000, 4, 1))))
    _, T, _ = schedule
    loss = {"objective": objective, "loss_type": draw(st.sampled_from(("l2", "huber")))}
    # A learned variance is that of whole steps.
    between = st.nothing() if "learned_variance" in net else st.just((1.0, 0.25 + 0.75 * T))
    return {
        "net": net,
        "size": draw(sizes(net)),
        "schedule": schedule,
        "t": draw(st.just((1, T)) | times(T) | between),
        "loss": {**loss, **draw(weights(objective))},
        "seed": draw(seeds()),
    }


@st.composite
def training_cases(draw: st.DrawFn) -> Case:
    """A network that can be trained, a loss, and some steps with one or more micro-batches."""
    case = draw(gradient_cases(("dropout",)))
    return {
        "net": case["net"],
        "size": case["size"],
        "batch": draw(st.sampled_from((2, 1))),
        "accumulate": draw(st.sampled_from((2, 1, 3))),
        "count": draw(st.sampled_from((3, 2))),
        "schedule": case["schedule"],
        "training": {**case["loss"], **draw(optimizers())},
        "seed": case["seed"],
    }


@st.composite
def accumulation_cases(draw: st.DrawFn) -> Case:
    """Steps of training with two or more micro-batches."""
    case = draw(training_cases())
    return {**case, "accumulate": draw(st.sampled_from((2, 3))), "count": draw(st.integers(1, 2))}


@st.composite
def world_cases(draw: st.DrawFn) -> Case:
    """Steps of training of some processes, each with one or more micro-batches."""
    case = draw(training_cases())
    return {
        **case,
        "batch": draw(st.sampled_from((1, 2))),
        "accumulate": draw(st.sampled_from((2, 1))),
        "count": draw(st.sampled_from((1, 2))),
        "processes": draw(st.sampled_from((2, 3))),
    }


@st.composite
def spoiled_cases(draw: st.DrawFn) -> Case:
    """Training with a scaled loss, in which one step or none has a NaN in an image."""
    case = draw(training_cases())
    # By the third step the average can differ from the parameters.
    spoiled = draw(st.sampled_from(((1,), (), (2,), (case["count"],))))
    return {**case, "scale": draw(st.sampled_from((1024.0, 1.0))), "spoiled": spoiled}


@st.composite
def exchange_cases(draw: st.DrawFn) -> Case:
    """Some processes, and whether none, one or all of them are asked to stop."""
    size = draw(st.sampled_from((2, 3, 8)))
    return {
        "size": size,
        "count": draw(st.sampled_from((5, 1, 64))),
        "scale": draw(scales()),
        "wishes": draw(st.sampled_from((1, 0, size))),
        "seed": draw(seeds()),
    }


NET: Case = {
    **{"dim": 4, "dim_mults": (1,), "channels": 1, "self_condition": True},
    **{"attn_heads": 1, "attn_dim_head": 4},
}

GRADIENTS: list[Case] = [
    {
        **{"net": NET, "size": (2, 3), **LONG},
        **{"loss": {"objective": "pred_v", "loss_type": "l2"}, "seed": 1},
    },
    {
        "net": {
            **{"dim": 4, "dim_mults": (1,), "channels": 1, "attn_heads": 1, "attn_dim_head": 4},
            "learned_variance": True,
        },
        **{"size": (2, 3), "schedule": ("cosine", 1000, False), "t": (1, 2, 300)},
        **{"loss": {"objective": "pred_v"}, "seed": 0},
    },
]
"""A long schedule; a learned variance, at its last step and before."""

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


@st.composite
def of_network(draw: st.DrawFn, networks: st.SearchStrategy[Case], steps: bool = False) -> Case:
    """A network over sequences or vectors that is trained: one gradient, or some steps."""
    case = draw(networks)
    objective = draw(st.sampled_from(OBJECTIVES))
    schedule = draw(schedules(objective, st.sampled_from((1000, 4))))
    loss = {"objective": objective, "loss_type": draw(st.sampled_from(("l2", "huber")))}
    given = {**case, "schedule": schedule, "seed": draw(seeds())}
    if not steps:
        return {**given, "t": (1, schedule[1], schedule[1] // 2), "loss": loss}
    training = {**loss, **draw(optimizers())}
    return {**given, "batch": 2, "accumulate": 1, "count": 2, "training": training}
