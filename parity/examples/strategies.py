"""What the properties are tried on (single operators: ``operator_draws``): plain literals.

Everything drawn is a plain number, string or tuple, so that an example can be written in one line;
arrays come from a seed. Shapes and lengths of schedules come from short lists, which hold the edge
cases and keep the number of compiled graphs small; seeds, times and scales roam freely.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ...reference.objective import LOSSES, OBJECTIVES
from ...reference.schedule import SCHEDULES, spaced_timesteps

Case = dict[str, Any]


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


def times(T: int) -> st.SearchStrategy[tuple[int, ...]]:
    """t of each image of a batch: any of 1..T, the two ends often."""
    entry = st.sampled_from((1, T)) | st.integers(1, T)
    return st.lists(entry, min_size=1, max_size=3).map(tuple)


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
    return {**draw(process_cases(zero_snr=objective != "pred_noise")), "objective": objective}


@st.composite
def weights(draw: st.DrawFn) -> Case:
    """A rule for the weight of the loss: none, p2 or min-SNR."""
    rule = draw(st.sampled_from(("none", "p2", "min_snr")))
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
    loss_type = draw(st.sampled_from(LOSSES))
    return {**draw(objective_cases()), "loss_type": loss_type, "weight": draw(weights())}


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


@st.composite
def layer_cases(
    draw: st.DrawFn, /, scales: tuple[float, ...] = (1.0,), **options: tuple[Any, ...]
) -> Case:
    """A layer between few channels on a small image; ``options``: what else there is to choose."""
    return {
        "dims": draw(st.sampled_from(((4, 6), (8, 8), (2, 3)))),
        "size": draw(st.sampled_from(((4, 6), (2, 2), (8, 4)))),
        "batch": draw(st.sampled_from((2, 1, 3))),
        "scale": draw(st.sampled_from(scales)),
        "seed": draw(seeds()),
        **{name: draw(st.sampled_from(choices)) for name, choices in options.items()},
    }


@st.composite
def networks(
    draw: st.DrawFn, levels: tuple[int, ...] = (2, 1, 3), first: tuple[str, ...] = ()
) -> Case:
    """Options of a small ``Unet``, any of all that there are.

    Hypothesis begins with the simplest example, which where few are drawn is most of what is seen:
    it has the first of ``levels`` and the options ``first``.
    """
    depth = draw(st.sampled_from(levels))
    options: Case = {
        "dim": draw(st.sampled_from((8, 4))),
        "dim_mults": draw(st.tuples(*[st.sampled_from((1, 2, 3))] * depth)),
        "channels": draw(st.sampled_from((1, 3))),
        "attn_heads": draw(st.sampled_from((2, 1))),
        "attn_dim_head": draw(st.sampled_from((4, 3))),
    }
    rest: dict[str, st.SearchStrategy[Any]] = {
        "init_dim": st.sampled_from((6, 9)),
        "self_condition": st.just(True),
        "learned_variance": st.just(True),
        "out_dim": st.just(2),
        "learned_sinusoidal_cond": st.just(True),
        "random_fourier_features": st.just(True),
        "learned_sinusoidal_dim": st.sampled_from((4, 10)),
        "sinusoidal_pos_emb_theta": st.sampled_from((100.0, 1e5)),
        "dropout": st.sampled_from((0.1, 0.5)),
        "attn_heads": st.tuples(*[st.integers(1, 3)] * depth),
        "attn_dim_head": st.tuples(*[st.integers(2, 5)] * depth),
        "full_attn": st.booleans() | st.tuples(*[st.booleans()] * depth),
    }
    chosen = draw(st.just(set(first)) | st.sets(st.sampled_from(sorted(rest)), max_size=5))
    return {**options, **{name: draw(rest[name]) for name in sorted(chosen)}}


def sizes(net: Case) -> st.SearchStrategy[tuple[int, int]]:
    """(H, W), seldom square: as small as the network allows, and larger."""
    factor = 2 ** (len(net["dim_mults"]) - 1)
    sides = st.sampled_from(((2, 3), (1, 1), (3, 1), (2, 2)))
    return sides.map(lambda s: (s[0] * factor, s[1] * factor))


@st.composite
def network_cases(draw: st.DrawFn, levels: tuple[int, ...] = (2, 1, 3), batch: int = 1) -> Case:
    """A network, and the time input of each of at least ``batch`` images: t - 1 for t = 1..4000."""
    first = ("self_condition", "dropout", "learned_sinusoidal_cond")
    net = draw(networks(levels, first))
    time = st.sampled_from((999.0, 0.0)) | st.integers(0, 3999).map(float)
    return {
        "net": net,
        "size": draw(sizes(net)),
        "time": tuple(draw(st.lists(time, min_size=batch, max_size=3))),
        "self_cond": net.get("self_condition", False) and not draw(st.booleans()),
        "seed": draw(seeds()),
    }


@st.composite
def two_size_cases(draw: st.DrawFn) -> Case:
    """A network, and the sizes at which it is asked: the last is the first again."""
    case = draw(network_cases(levels=(2, 1)))
    first = case.pop("size")
    other = draw(sizes(case["net"]).filter(lambda size: size != first))
    return {**case, "sizes": (first, other, first)}


@st.composite
def gradient_cases(draw: st.DrawFn, first: tuple[str, ...] = ("self_condition", "dropout")) -> Case:
    """A network that can be trained, a schedule, a batch and a loss.

    l1 is left out: its derivative jumps where the error of a pixel is 0, which a rounding decides.
    """
    drawn = draw(networks((1, 2), first))
    net = {k: v for k, v in drawn.items() if k not in ("out_dim", "learned_variance")}
    objective = draw(st.sampled_from(("pred_v", "pred_noise", "pred_x0")))
    T = draw(st.sampled_from((4000, 4, 1)))
    zero_snr = objective != "pred_noise" and draw(st.booleans())
    loss = {"objective": objective, "loss_type": draw(st.sampled_from(("l2", "huber")))}
    return {
        "net": net,
        "size": draw(sizes(net)),
        "schedule": (draw(st.sampled_from(SCHEDULES)), T, zero_snr),
        "t": draw(st.just((1, T)) | times(T)),
        "loss": {**loss, **draw(weights())},
        "seed": draw(seeds()),
    }


def _near_powers_of_two() -> st.SearchStrategy[int]:
    """Counts where a float has one bit less for a fraction, or an average another stride."""
    powers = st.tuples(
        st.sampled_from((20, 13, 24)) | st.integers(1, 24), st.sampled_from((1, 0, -1))
    )
    return powers.map(lambda p: 2 ** p[0] + p[1])


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


@st.composite
def optimizer_cases(draw: st.DrawFn) -> Case:
    """Some tensors and some updates of them."""
    return {
        "shapes": draw(st.sampled_from((((3, 4), (5,)), ((1,),), ((2, 2, 3, 3), (1, 2), (7,))))),
        "steps": draw(st.sampled_from((4, 1))),
        "scale": draw(st.sampled_from((0.1, 1.0, 1e-3))),
        "optimizer": draw(optimizers()),
        "ema_sigma_rels": draw(st.sampled_from(((0.05, 0.1), (), (0.28,), (0.01, 0.2)))),
        "seed": draw(seeds()),
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
def half_cases(draw: st.DrawFn) -> Case:
    """A layer that has products, and a level of mixed precision.

    At a scale of 300 the squares that a norm adds up are beyond the range of float16.
    """
    options: dict[str, Case] = {
        "block": {},
        "linear_attention": {"heads": (2, 1), "dim_head": (4, 3)},
        "attention": {"heads": (2, 1), "dim_head": (4, 3)},
        "resnet_block": {"dropout": (0.25, 0.0)},
        "conv2d": {"kernel": (3, 7, 1)},
        "linear": {},
        "downsample": {},
        "upsample": {},
    }
    kind = draw(st.sampled_from(tuple(options)))
    scales = (1.0,) if kind in ("conv2d", "linear") else (300.0, 1.0)
    level = draw(st.sampled_from(("O2", "O1", "O3")))
    return {"kind": kind, "level": level, **draw(layer_cases(scales=scales, **options[kind]))}
