"""A small network as both sides' denoiser, for walks of tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.tracer import getval
from mindspore import Tensor, ops

from ...accelerated import denoiser as accelerated
from ...accelerated.tasks import Solver
from ...reference.config.diffusion import ObjectiveConfig
from ...reference.levels import Levels
from ...reference.objective import x0_from_output
from ...reference.preconditioning import network_input
from ..judgement.tolerance import Arrays
from . import device
from .device import Array
from .small_network import SmallNetwork, small_network

Schedule = tuple[str, int, bool]


def network(channels: int, self_condition: bool, seed: int) -> tuple[SmallNetwork, Arrays]:
    """The device's network of these channels with the parameters of a seed, and those by name."""
    options = {"channels": channels, "self_condition": self_condition, "dim_mults": (1,)}
    net = _network(tuple(options.items()))
    params = SmallNetwork(4, seed=seed, **options).arrays()
    net.load_arrays(params)
    return net, params


@device.remembered
def _network(options: tuple[tuple[str, Any], ...]) -> SmallNetwork:
    return SmallNetwork(4, **dict(options))


@device.remembered
def solver(net: SmallNetwork, schedule: Schedule, objective: str, mode: str) -> Solver:
    """The device's side: one for each schedule, so that its graphs are compiled once."""
    s = device.schedule(*schedule)
    levels = Levels(s, ObjectiveConfig(objective=objective))
    predict_x0 = _mixed(accelerated.denoiser(net))
    made = _steps if mode == "compiled" else _eager
    return Solver(s, levels, predict_x0, compiles=made)


def _steps(step: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = device.compiled(step)
    return compiled


def _eager(step: Callable[..., Any]) -> Callable[..., Any]:
    return step


def _mixed(predict_x0: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The estimate plus half of its neighbour's: the network alone knows no neighbours."""

    def mixed(x_t, levels, condition=None, x_self_cond=None):  # type: ignore[no-untyped-def]
        x0_hat = predict_x0(x_t, levels, condition, x_self_cond)
        return x0_hat + 0.5 * ops.concat((x0_hat[..., 1:], x0_hat[..., :1]), -1)

    return mixed


def predict_x0(
    net: SmallNetwork, schedule: Schedule, objective: str, params: Arrays
) -> Callable[..., Array]:
    """The reference's side, a new one for each walk: it remembers its last estimate."""

    s, last = device.schedule(*schedule), None

    def mixed(x_t: Array, t: Array, condition: Any = None) -> Array:
        nonlocal last
        shown = last if net.config.self_condition else None
        seen = network_input(s, objective, x_t, t)
        output = small_network(params, net.config, seen, t - 1, shown)
        own = x0_from_output(s, objective, x_t, t, output)
        x0_hat: Array = own + 0.5 * anp.concatenate((own[..., 1:], own[..., :1]), -1)
        last = getval(x0_hat)
        return x0_hat

    return mixed


def noises(arrays: Arrays, prefix: str = "noise") -> Callable[[int], Array]:
    """Draw number i: the array of that name."""
    return lambda i: arrays[f"{prefix}{i}"]


def drawn(seed: int, count: int, shape: Sequence[int]) -> Arrays:
    """``count`` arrays of noise by name, and the start of a walk."""
    x_T, *noise = device.draw(seed, (1 + count, *shape))
    return {"x_T": x_T, **{f"noise{i}": value for i, value in enumerate(noise)}}


def image(seed: int, shape: Sequence[int]) -> Array:
    """In [-1, 1], float32."""
    found: Array = np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)
    return found
