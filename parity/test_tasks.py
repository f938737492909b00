"""Inpainting and restoration: whole walks of both sides, with a small network as the denoiser.

The network is no formula, and DPS asks for its gradient: NumPy's own float32 run of the reference
is the yardstick (``tolerance.deep``). Editing, inversion and interpolation are walks of samplers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from hypothesis import given

from ddpm_mindspore.accelerated import degradations as accelerated_degradations
from ddpm_mindspore.accelerated.tasks import inpainting as accelerated_inpainting
from ddpm_mindspore.accelerated.tasks import posterior_sampling as accelerated_posterior
from ddpm_mindspore.accelerated.tasks import restoration as accelerated_restoration
from ddpm_mindspore.accelerated.tasks.paths import Solver
from ddpm_mindspore.parity.examples import tasks as cases
from ddpm_mindspore.parity.examples.values import Case, first
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep, elementwise
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, tasks
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.small_network import SmallNetwork
from ddpm_mindspore.reference import degradations
from ddpm_mindspore.reference.tasks import inpainting, posterior_sampling, restoration
from ddpm_mindspore.reference.tasks.paths import with_jumps


@first(cases.DIRECTIONS)
@budget.examples(0.5)
@given(case=cases.direction_cases())
def test_directions(case: Case) -> None:
    """V^T x and V x: into the directions of a degradation, and back"""
    directions(**case)


@first(cases.PAINTED)
@budget.examples(0.2)
@given(case=cases.painted_cases())
def test_repaint(case: Case) -> None:
    """RePaint: x_s = mask (signal known + noise eps) + (1 - mask) (a x_t + b x0_hat + c eps)"""
    painted(**case)


@first(cases.RESTORED)
@budget.examples(0.25)
@given(case=cases.restored_cases())
def test_ddnm(case: Case) -> None:
    """DDNM(+): x0_bar = x0_hat - V lambda V^T A^+ (A x0_hat - y), noise V gamma V^T"""
    restored(**case)


@first(cases.FOLLOWED)
@budget.examples(0.2)
@given(case=cases.followed_cases())
def test_dps(case: Case) -> None:
    """DPS: the gradient of |y - A x0_hat| by x_t, through the network"""
    followed(**case)


@reproducible
def directions(
    degradation: str, shape: Sequence[int], batch: int, seed: int, modes: Sequence[str]
) -> None:
    """Each axis is a product with a small matrix: as many roundings as its side, and one more."""
    of = degradations.degradation(degradation, tuple(shape))
    x = device.draw(seed, (batch, *shape))
    bases = [matrix.astype(np.float32) for matrix in of.right]
    transposed = [matrix.T for matrix in of.right]
    for name, matrices in (("into", transposed), ("out_of", of.right)):
        function = getattr(accelerated_degradations, f"{name}_directions")
        expected = degradations.along(matrices, x.astype(np.float64))
        size = degradations.along([np.abs(m) for m in matrices], np.abs(x).astype(np.float64))
        bound = elementwise(sum(shape) + len(shape), size)
        for mode in modes:
            actual = device.run(mode, partial(_by_axis, function), x, *bases)
            check(f"{name}_directions of {degradation} ({mode})", actual, expected, bound, x=x)


def _by_axis(function, x, *bases):  # type: ignore[no-untyped-def]
    return function(bases, x)


@reproducible
def painted(
    schedule: tasks.Schedule,
    objective: str,
    self_condition: bool,
    timesteps: Sequence[int],
    jumps: tuple[int, int],
    shape: Sequence[int],
    batch: int,
    seed: int,
    modes: Sequence[str],
) -> None:
    """The end of a walk that paints what every second pixel, or so, of a mask hides."""
    net, params = tasks.network(shape[0], self_condition, seed)
    length, repeats = jumps
    count = 2 * len(with_jumps(timesteps, length, repeats))
    inputs = tasks.drawn(seed, count, (batch, *shape))
    inputs |= {"known": tasks.image(seed, (batch, *shape)), **params}
    mask = (np.random.default_rng(seed).random(shape[1:]) < 0.5).astype(np.float64)
    options: dict[str, Any] = {
        "timesteps": timesteps,
        "jump_length": length,
        "jump_repeats": repeats,
    }

    def in_reference(a: Arrays) -> Arrays:
        predict_x0 = tasks.predict_x0(net, schedule, objective, a)
        s, noise = device.schedule(*schedule), tasks.noises(a)
        x = inpainting.repaint(s, predict_x0, a["x_T"], a["known"], mask, noise=noise, **options)
        return {"x_0": x}

    def on_device(solver: Solver) -> Array:
        noise = tasks.noises(inputs)
        return accelerated_inpainting.repaint(
            solver, inputs["x_T"], inputs["known"], mask, noise=noise, **options
        )

    compare("RePaint", in_reference, on_device, inputs, (net, schedule, objective), modes)


@reproducible
def restored(
    schedule: tasks.Schedule,
    objective: str,
    self_condition: bool,
    timesteps: Sequence[int],
    jumps: tuple[int, int],
    degradation: str,
    sigma_y: float,
    shape: Sequence[int],
    batch: int,
    seed: int,
    modes: Sequence[str],
) -> None:
    """The end of a walk that undoes a degradation."""
    net, params = tasks.network(shape[0], self_condition, seed)
    of = degradations.degradation(degradation, tuple(shape))
    length, repeats = jumps
    inputs = tasks.drawn(seed, len(with_jumps(timesteps, length, repeats)), (batch, *shape))
    inputs |= {"y": of(tasks.image(seed, (batch, *shape))), **params}
    options: dict[str, Any] = {
        "timesteps": timesteps,
        "jump_length": length,
        "jump_repeats": repeats,
    }

    def in_reference(a: Arrays) -> Arrays:
        predict_x0 = tasks.predict_x0(net, schedule, objective, a)
        s, noise = device.schedule(*schedule), tasks.noises(a)
        given: dict[str, Any] = {"noise": noise, "sigma_y": sigma_y, **options}
        return {"x_0": restoration.ddnm(s, predict_x0, a["x_T"], a["y"], of, **given)}

    def on_device(solver: Solver) -> Array:
        given: dict[str, Any] = {"noise": tasks.noises(inputs), "sigma_y": sigma_y, **options}
        return accelerated_restoration.ddnm(solver, inputs["x_T"], inputs["y"], of, **given)

    compare("DDNM", in_reference, on_device, inputs, (net, schedule, objective), modes)


@reproducible
def followed(
    schedule: tasks.Schedule,
    objective: str,
    self_condition: bool,
    timesteps: Sequence[int],
    degradation: str,
    scale: float,
    shape: Sequence[int],
    batch: int,
    seed: int,
    modes: Sequence[str],
) -> None:
    """The end of a walk along the gradient of the misfit."""
    net, params = tasks.network(shape[0], self_condition, seed)
    of = degradations.degradation(degradation, tuple(shape))
    inputs = tasks.drawn(seed, len(timesteps), (batch, *shape))
    inputs |= {"y": of(tasks.image(seed, (batch, *shape))), **params}

    def in_reference(a: Arrays) -> Arrays:
        s, noise = device.schedule(*schedule), tasks.noises(a)
        predict_x0 = tasks.predict_x0(net, schedule, objective, a)
        given: dict[str, Any] = {"timesteps": timesteps, "noise": noise, "scale": scale}
        return {"x_0": posterior_sampling.dps(s, predict_x0, a["x_T"], a["y"], of, **given)}

    def on_device(solver: Solver) -> Array:
        given: dict[str, Any] = {
            "timesteps": timesteps,
            "noise": tasks.noises(inputs),
            "scale": scale,
        }
        return accelerated_posterior.dps(solver, inputs["x_T"], inputs["y"], of, **given)

    compare("DPS", in_reference, on_device, inputs, (net, schedule, objective), modes)


def compare(
    task: str,
    in_reference: Callable[[Arrays], Arrays],
    on_device: Callable[[Solver], Array],
    inputs: Arrays,
    of: tuple[SmallNetwork, tasks.Schedule, str],
    modes: Sequence[str],
) -> None:
    """Check the device's x_0 in every mode."""
    truth, bounds = deep(in_reference, inputs)
    for mode in modes:
        actual = on_device(tasks.solver(*of, mode))
        check(f"x_0 of {task} ({mode})", actual, truth["x_0"], bounds["x_0"], x_T=inputs["x_T"])
