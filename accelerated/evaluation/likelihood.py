"""Bits of images by the device's denoiser; ``reference/evaluation/likelihood.py`` counts them.

What is asked of the device is one estimate after another, and its derivative along a direction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mindspore as ms
import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from ...reference.evaluation import likelihood as host
from ..denoiser import Denoiser, denoiser
from ..diffusion import GaussianDiffusion
from ..process import to_model_range
from ..randomness import Purpose, normal
from ..tasks import Solver
from ..tasks.paths import tensor

Array = NDArray[np.float64]

BATCH = 64
"""Images at a time, at most."""

TIMES = 40
"""At which the bound's terms are measured, besides the last step, at most."""


class Counted(NamedTuple):
    """What images take, in bits for each of their values.

    Attributes:
        bound, flow: (N,) by the variational bound, and by the ODE.
        times: at which the bound's terms were measured.
        profile: of each, the mean over images of what one step there takes.
        prior: what the chain's end gives away, likewise.
    """

    bound: Array
    flow: Array
    times: tuple[int, ...]
    profile: Array
    prior: float


def estimate_step(predict_x0: Denoiser) -> Callable[..., tuple[Tensor]]:
    """The device step: the estimate alone, with what tells its variance."""

    def step(x, levels, noise, condition, x_self_cond):  # type: ignore[no-untyped-def]
        return (predict_x0(x, levels, condition, x_self_cond),)

    return step


def probing_step(predict_x0: Denoiser) -> Callable[..., tuple[Tensor, Tensor]]:
    """The device step: x0_hat, and the gradient of x0_hat . v by x, which is J^T v."""

    def along(x, levels, v, condition, x_self_cond):  # type: ignore[no-untyped-def]
        x0_hat = predict_x0(x, levels, condition, x_self_cond)
        return (x0_hat * v).sum(), x0_hat

    gradient = ms.value_and_grad(along, 0, None, has_aux=True)

    def step(x, levels, v, condition, x_self_cond):  # type: ignore[no-untyped-def]
        (_, x0_hat), slope = gradient(x, levels, v, condition, x_self_cond)
        return x0_hat, slope

    return step


def probe(solver: Solver) -> host.Probe:
    """x0_hat and v . (J v) of each item; self-conditioning is told nothing."""

    def asked(x: Array, t: Array, v: Array) -> tuple[Array, Array]:
        nothing = tensor(np.zeros(x.shape))
        step = solver.graph(probing_step)
        x0_hat, slope = solver.ask(step, tensor(x), float(t[0]), tensor(v), nothing)
        along = v * slope.asnumpy().astype(np.float64)
        return x0_hat.asnumpy().astype(np.float64), along.reshape(len(x), -1).sum(1)

    return asked


def predict(solver: Solver, *, clip: bool) -> host.Predict:
    """x0_hat, and the variance of the step where it was learned."""

    def asked(x: Array, t: Array) -> tuple[Array, Array | None]:
        nothing = tensor(np.zeros(x.shape))
        step = solver.graph(estimate_step)
        (found,) = solver.ask(step, tensor(x), float(t[0]), nothing, nothing)
        estimate = found.asnumpy().astype(np.float64)
        return host.predicted(solver.schedule, estimate, t, x, clip=clip)

    return asked


def count_bits(
    diffusion: GaussianDiffusion,
    images: NDArray[np.uint8],
    *,
    labels: NDArray[Any] | None = None,
    seed: int = 0,
    solver: str = "heun",
    steps: int = 50,
    on_step: Callable[[], None] = lambda: None,
) -> Counted:
    """Bits of images (N, C, H, W), uint8; image i depends on (seed, i) alone.

    Args:
        labels: what they are, for a network that is told: (N,) classes, or (N, L) ids of captions;
            bits are then those of an image whose class or caption is known.
        solver, steps: of the ODE, see ``reference.evaluation.likelihood``.
        on_step: called after every question to the network.
    """
    x_0 = to_model_range(images).astype(np.float64)
    # float32 has moved them off the grid by less than a level's thousandth.
    x_0 = np.round((x_0 + 1.0) * 127.5) / 127.5 - 1.0
    size = min(BATCH, len(x_0))
    schedule, model, parts = diffusion.schedule, diffusion.model, []
    estimates, flows = (
        Solver(schedule, diffusion.levels, denoiser(model, variance=learned), on_step=on_step)
        for learned in (True, False)
    )
    for first in range(0, len(x_0), size):
        places = range(first, first + size)  # the last batch is filled up with the first images
        which = np.array(places) % len(x_0)

        def noise(i: int, places: Sequence[int] = places) -> Array:
            drawn = normal(seed, Purpose.SAMPLE_NOISE, i, places, x_0.shape[1:])
            return drawn.astype(np.float64)

        for each in (estimates, flows):
            each.tell(None if labels is None else labels[which].astype(np.int32))
        asked = predict(estimates, clip=diffusion.sampling.clip_denoised)
        bits = host.bound_bits(schedule, asked, x_0[which], noise, count=TIMES)
        flow = host.flow_bits(
            schedule,
            probe(flows),
            x_0[which],
            lambda i, noise=noise: noise(TIMES + 1 + i),  # type: ignore[misc]
            solver=solver,
            steps=steps,
        )
        parts.append((bits.each, flow, bits.terms, bits.priors, bits.times))
    bound, flow = (np.concatenate([part[i] for part in parts])[: len(x_0)] for i in (0, 1))
    terms = np.concatenate([part[2] for part in parts], axis=1)[:, : len(x_0)].mean(1)
    prior = np.concatenate([part[3] for part in parts])[: len(x_0)].mean()
    return Counted(bound, flow, parts[0][4], terms, float(prior))


def questions(images: int, T: int, solver: str, steps: int) -> int:
    """How often ``count_bits`` calls ``on_step``."""
    times, _ = host.spread_times(T, TIMES)
    batches = -(-images // min(BATCH, images))
    return batches * (len(times) + 1 + steps * len(host.SOLVERS[solver][1]))
