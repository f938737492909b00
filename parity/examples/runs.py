"""What the properties of the public door are tried on, every option of every configuration.

Options are drawn so that each of them shows: see ``tests/parity/test_options.py``, which asks of
each one whether another value of it would have been noticed.
"""

from __future__ import annotations

from hypothesis import strategies as st

from .classes import classes, small_pictures
from .objectives import weights
from .optimizers import optimizers
from .samplings import samplings
from .values import Case

SHAPES = ((1, (4, 6)), (3, (2, 2)), (2, (2, 3)))
"""Channels and (H, W)."""


def words() -> st.SearchStrategy[int]:
    """Numbers of 64 bits: seeds, steps and indices; many beyond 32 bits."""
    some = (0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1)
    return st.sampled_from(some) | st.integers(0, 2**64 - 1) | st.integers(0, 1000)


def run_seeds() -> st.SearchStrategy[int]:
    return st.sampled_from((7, 0, 2**32 + 7)) | st.integers(0, 2**64 - 1)


@st.composite
def stream_cases(draw: st.DrawFn) -> Case:
    """Some draws of one step."""
    return {
        "seed": draw(words()),
        "step": draw(words()),
        "indices": tuple(draw(st.lists(words(), min_size=1, max_size=4))),
        "shape": draw(st.sampled_from(((2, 3), (1,), (3, 4, 4)))),
        "T": draw(st.sampled_from((1000, 1, 2, 4000)) | st.integers(1, 10**6)),
        "p": draw(st.sampled_from((0.1, 0.0, 1.0, 0.5))),
        "layer": draw(st.sampled_from((0, 1, 17))),
    }


@st.composite
def epoch_cases(draw: st.DrawFn) -> Case:
    """A part of the endless stream of epochs."""
    count = draw(st.integers(1, 9))
    start = draw(st.sampled_from((0, 1, count, 5 * count - 1, 2**40)) | st.integers(0, 60))
    return {
        "seed": draw(words()),
        "count": count,
        "start": start,
        "length": draw(st.integers(1, 20)),
    }


@st.composite
def losses(draw: st.DrawFn, objective: str) -> Case:
    """The rest of ``DiffusionConfig``: what is trained."""
    kinds = st.sampled_from(("huber", "l1", "l2"))
    return {"loss_type": draw(kinds), **draw(weights(objective)), **draw(draws())}


@st.composite
def draws(draw: st.DrawFn) -> Case:
    """Times and noise of training."""
    options: Case = {"immiscible": draw(st.booleans())}
    options["time_distribution"] = draw(st.sampled_from(("log_normal", "steps", "uniform")))
    if options["time_distribution"] == "log_normal":
        options |= {"p_mean": draw(st.sampled_from((-0.4, -1.2))), "p_std": 0.8}
    options["offset_noise"] = draw(st.sampled_from((0.3, 0.0)))
    return options


@st.composite
def networks(draw: st.DrawFn) -> Case:
    """Of the small network."""
    options: Case = {"dim": 4, "dim_mults": (1,), "channels": draw(st.sampled_from((1, 3, 2)))}
    if draw(st.booleans()):
        options["dropout"] = draw(st.sampled_from((0.25, 0.5)))
    if draw(st.booleans()):
        options["self_condition"] = True
    return options


def image_sizes() -> st.SearchStrategy[tuple[int, int]]:
    return st.sampled_from(((4, 6), (2, 2), (2, 3)))


@st.composite
def pictures(draw: st.DrawFn, channels: int) -> tuple[Case, Case]:
    """("data" of a run, the options of ``TrainerConfig`` that go with it)."""
    kinds = ("folder", "uint8", "float") if channels in (1, 3) else ("uint8", "float")
    kind = draw(st.sampled_from(kinds))
    options: Case = {
        "seed": draw(run_seeds()),
        "augment_horizontal_flip": draw(st.booleans()),
    }
    if kind == "folder":
        crops = st.sampled_from(("random_resized", "random", "center", "none"))
        options |= {
            "crop": draw(crops),
            "crop_min_share": draw(st.sampled_from((0.5, 0.8))),
            "only_class": draw(st.sampled_from((("dog", "eel"), ()))),
            "data_memory_gb": draw(st.sampled_from((2.0, 0.0))),
        }
    return {"kind": kind, "count": draw(st.integers(4, 11))}, options


@st.composite
def batch_cases(draw: st.DrawFn) -> Case:
    """Updates of a run, near its start and far from it, of one process or of several."""
    net = draw(networks())
    data, options = draw(pictures(net["channels"]))
    size = draw(image_sizes())
    net |= draw(classes(data, options)) or draw(small_pictures(size, net, options))
    batch = {
        "train_batch_size": draw(st.sampled_from((2, 3, 1))),
        "gradient_accumulate_every": draw(st.sampled_from((2, 1, 3))),
    }
    return {
        "net": net,
        "size": size,
        "diffusion": {"timesteps": draw(st.sampled_from((1000, 4, 1))), **draw(draws())},
        "data": data,
        "trainer": {**options, **batch},
        "steps": tuple(draw(st.sampled_from(((1, 2, 3), (5,), (2**33, 2**33 + 1))))),
        "world": draw(st.sampled_from(((0, 1), (1, 2), (2, 3)))),
        "images": draw(st.integers(0, 2**16)),
        "broken": draw(st.sampled_from(((0,), ()))) if _read_anew(options) else (),
    }


def _read_anew(trainer: Case) -> bool:
    """Whether the images of a folder are read in every epoch, so that they can break."""
    return trainer.get("data_memory_gb") == 0.0 or "random" in trainer.get("crop", "")


@st.composite
def streams_of_a_run(draw: st.DrawFn) -> Case:
    """Updates of one or more processes, and samples of the same seed."""
    case = draw(batch_cases())
    return {
        "net": case["net"],
        "size": case["size"],
        "diffusion": {**draw(samplings()), **draw(draws())},
        "data": case["data"],
        "trainer": case["trainer"],
        "steps": draw(st.sampled_from(((1, 2, 3), (4, 5), (2**33,)))),
        "processes": draw(st.sampled_from((1, 2))),
        "samples": draw(st.sampled_from(((0, 5), (3, 2), (2**32, 3)))),
        "images": case["images"],
    }


@st.composite
def sample_cases(draw: st.DrawFn) -> Case:
    """Calls of ``sample``: several batches, of which the last is not full, by numbers and seeds.

    The options of a call are drawn beside those of the configuration, which they come before.
    """
    options = draw(samplings())
    calls = []
    for _ in range(draw(st.sampled_from((2, 1)))):
        call: Case = {"batch_size": 2, "num_samples": draw(st.sampled_from((5, 2, 3)))}
        call["first"] = draw(st.sampled_from((3, 0, 2**33)))
        if draw(st.booleans()):
            call["seed"] = draw(st.sampled_from((0, 5, 2**40)))
        if draw(st.booleans()):
            call["sampling_timesteps"] = draw(st.sampled_from((2, 3)))
            call["sampler"] = "ddim"
            call["eta"] = draw(st.sampled_from((1.0, 0.3, 0.0)))
        if draw(st.booleans()):
            call["image_size"] = (4, 2)
        if draw(st.booleans()):
            call["return_all_timesteps"] = True
        calls.append(call)
    return {
        "net": draw(networks()),
        "size": draw(image_sizes()),
        "diffusion": options,
        "seed": draw(st.sampled_from((11, 2**34))),
        "calls": tuple(calls),
        "params": draw(st.integers(0, 2**16)),
    }


@st.composite
def interpolation_cases(draw: st.DrawFn) -> Case:
    """Two sets of images, and how they are mixed."""
    options = {k: v for k, v in draw(samplings()).items() if k != "sampling_timesteps"}
    options["timesteps"] = draw(st.sampled_from((4, 7)))
    return {
        "net": draw(networks()),
        "size": draw(image_sizes()),
        "diffusion": options,
        "kind": draw(st.sampled_from(("uint8", "float"))),
        "t": draw(st.sampled_from((3, None, 1))),
        "lam": draw(st.sampled_from((0.3, 0.0, 1.0))),
        "seed": draw(st.sampled_from((11, 2**34))),
        "given_seed": draw(st.sampled_from((0, None, 5))),
        "params": draw(st.integers(0, 2**16)),
    }


@st.composite
def call_cases(draw: st.DrawFn) -> Case:
    """Images that a diffusion is called with, once and again."""
    diffusion = draw(samplings())
    diffusion.pop("sampling_timesteps", None)
    return {
        "net": draw(networks()),
        "size": draw(image_sizes()),
        "diffusion": {**diffusion, **draw(losses(diffusion["objective"]))},
        "kind": draw(st.sampled_from(("uint8", "float"))),
        "batch": draw(st.sampled_from((3, 1))),
        "calls": draw(st.sampled_from((2, 3))),
        "seed": draw(run_seeds()),
        "params": draw(st.integers(0, 2**16)),
    }


@st.composite
def run_cases(draw: st.DrawFn) -> Case:
    """A run of a few updates with any options."""
    net = draw(networks())
    data, options = draw(pictures(net["channels"]))
    net |= draw(classes(data, options))
    optimizer = draw(optimizers())
    optimizer["train_lr"] = optimizer.pop("lr")
    if optimizer["lr_schedule"] == "cosine":
        optimizer["min_lr"] = draw(st.sampled_from((1e-4, 0.0)))
    every = draw(st.sampled_from((2, 1, 3)))
    # l1's derivative jumps where the error of a pixel is 0, which a rounding decides.
    diffusion = draw(samplings())
    diffusion |= draw(losses(diffusion["objective"]))
    if diffusion["loss_type"] == "l1":
        diffusion["loss_type"] = "l2"
    spoiled = draw(st.sampled_from(((1,), ()))) if data["kind"] == "float" else ()
    return {
        "net": net,
        "size": draw(image_sizes()),
        "diffusion": diffusion,
        "data": data,
        "trainer": {
            **options,
            **optimizer,
            "train_num_steps": draw(st.sampled_from((5, 3, 4))),
            "train_batch_size": draw(st.sampled_from((2, 1, 3))),
            "gradient_accumulate_every": draw(st.sampled_from((2, 1))),
            "ema_sigma_rels": draw(st.sampled_from(((0.05, 0.1), (), (0.28,)))),
            "save_and_sample_every": every,
            "num_samples": draw(st.sampled_from((2, 3))),
        },
        "spoiled": spoiled,
        "resumed_after": draw(st.sampled_from((every, 0))),
        "params": draw(st.integers(0, 2**16)),
    }


@st.composite
def command_cases(draw: st.DrawFn) -> Case:
    """A run's checkpoints, and the options of ``sample``.

    The seed is given, and is another one than the run's.
    """
    options: Case = {
        "num_samples": draw(st.sampled_from((5, 2, 3))),
        "batch_size": draw(st.sampled_from((2, None))),
        "ema": draw(st.sampled_from((0.08, "default"))),
        "seed": draw(st.sampled_from((3, 0))),
    }
    if options["ema"] == "default":
        options["weights"] = draw(st.sampled_from(("trained", "average")))
    if draw(st.booleans()):
        options["step"] = 2000
        options["image_size"] = (4, 2)
    if draw(st.booleans()):
        options["sampling_timesteps"] = draw(st.sampled_from((2, 3)))
        options["sampler"] = "ddim"
        options["eta"] = draw(st.sampled_from((0.7, 0.0)))
    net = draw(networks())
    if draw(st.booleans()):
        net["num_classes"] = 3
        options["guidance"] = draw(st.sampled_from((2.0, None)))
        options["label"] = draw(st.sampled_from((("1", "0"), ("2",), ())))
    return {
        "net": net,
        "size": draw(image_sizes()),
        "diffusion": draw(samplings()),
        "seed": draw(st.sampled_from((9, 2**33))),
        "steps": (1000, 2000, 3000),
        "options": options,
        "params": draw(st.integers(0, 2**16)),
    }
