"""Schedules, the process and the samplers of the package are those of the reference.

Its time index is t - 1, and it has no entry for t = 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.parity.judgement.tolerance import elementwise
from ddpm_mindspore.reference import process
from ddpm_mindspore.reference.config import UnetConfig
from ddpm_mindspore.reference.config.diffusion import PREDICTIONS
from ddpm_mindspore.reference.networks.unet import unet
from ddpm_mindspore.reference.objective import x0_from_output
from ddpm_mindspore.reference.samplers import ancestral, ddim
from ddpm_mindspore.reference.schedule import (
    SCHEDULES,
    Schedule,
    cosine_beta,
    linear_beta,
    make_schedule,
    sigmoid_beta,
    spaced_timesteps,
)

TINY: dict[str, Any] = {"dim": 4, "dim_mults": (1,), "channels": 1}
SHAPE = (2, 1, 4, 6)

THEIRS = tuple(name for name in SCHEDULES if name != "scaled_linear")

LENGTHS = (50, 100, 1000, 2000)
SIGMOID = 5e-5
"""The package takes the sigmoid's two end points in float32: its betas are off by T / 1e8."""


def diffusion(peer: Any, network: Any, **options: Any) -> Any:
    return peer.GaussianDiffusion(network, image_size=SHAPE[2:], **options)


def worst(actual: np.ndarray, expected: np.ndarray) -> float:
    """The largest error relative to the element."""
    assert actual.shape == expected.shape
    return float(np.max(np.abs(actual - expected) / np.abs(expected)))


@pytest.mark.parametrize("T", LENGTHS)
def test_linear_and_cosine_betas_are_equal(T: int, peer: Any, table: Any) -> None:
    for name, rule in (("linear", linear_beta), ("cosine", cosine_beta)):
        theirs = getattr(peer.package, f"{name}_beta_schedule")(T).numpy()
        error = worst(theirs, rule(T))
        table.add(f"{name} betas, T = {T}", f"{error:.1e}", "1e-11")
        assert error <= 1e-11


@pytest.mark.parametrize("T", LENGTHS)
def test_sigmoid_betas_differ_by_its_float32_end_points_alone(
    T: int, peer: Any, table: Any
) -> None:
    shipped = worst(peer.package.sigmoid_beta_schedule(T).numpy(), sigmoid_beta(T))
    with peer.in_float64():
        exact = worst(peer.package.sigmoid_beta_schedule(T).numpy(), sigmoid_beta(T))
    table.add(f"sigmoid betas, T = {T}: as shipped", f"{shipped:.1e}", f"{SIGMOID:.0e}")
    table.add("    with end points in float64", f"{exact:.1e}", "1e-11")
    assert exact <= 1e-11
    assert shipped <= SIGMOID


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("T", [50, 1000])
def test_tables_are_equal(name: str, T: int, peer: Any, table: Any) -> None:
    """Each is a function of the betas: what those are off by, near 1 - beta = 0.001, it keeps."""
    with peer.in_float64():
        theirs = diffusion(peer, peer.unet(0, **TINY), timesteps=T, beta_schedule=name)
    errors = {
        key: worst(theirs.state_dict()[key].numpy()[first:], expected[first:])
        for key, (first, expected) in tables(make_schedule(name, T)).items()
    }
    largest = max(errors, key=lambda key: errors[key])
    table.add(f"tables, {name}, T = {T}", f"{errors[largest]:.1e} ({largest})", "1e-9")
    assert errors[largest] <= 1e-9


def tables(s: Schedule) -> dict[str, tuple[int, np.ndarray]]:
    """Name -> (first entry that is not 0, values for t = 1..T)."""
    alpha_bar = s.alpha_bar[1:]
    return {
        "alphas_cumprod": (0, alpha_bar),
        "alphas_cumprod_prev": (0, s.alpha_bar[:-1]),
        "sqrt_alphas_cumprod": (0, s.sqrt_alpha_bar[1:]),
        "sqrt_one_minus_alphas_cumprod": (0, s.sqrt_one_minus_alpha_bar[1:]),
        "sqrt_recip_alphas_cumprod": (0, 1 / s.sqrt_alpha_bar[1:]),
        "sqrt_recipm1_alphas_cumprod": (0, s.snr[1:] ** -0.5),
        "posterior_variance": (1, s.posterior_var[1:]),
        "posterior_log_variance_clipped": (0, s.posterior_log_var[1:]),
        "posterior_mean_coef1": (0, s.posterior_mean_coef_x0[1:]),
        "posterior_mean_coef2": (1, s.posterior_mean_coef_xt[1:]),
        "loss_weight": (0, alpha_bar),  # of pred_v: snr / (snr + 1)
    }


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_the_process_as_shipped_agrees_to_float32(name: str, peer: Any, table: Any) -> None:
    T = 1000
    s, theirs = (
        make_schedule(name, T),
        diffusion(peer, peer.unet(0, **TINY), timesteps=T, beta_schedule=name),
    )
    rng = np.random.default_rng(0)
    a32, b32 = rng.standard_normal((2, 64, 1, 4, 6)).astype(np.float32)
    a, b = a32.astype(np.float64), b32.astype(np.float64)
    t = np.r_[1, T, rng.integers(1, T + 1, 62)]

    def column(values: np.ndarray) -> np.ndarray:
        return values[t].reshape(-1, 1, 1, 1)

    signal, noise = column(s.sqrt_alpha_bar), column(s.sqrt_one_minus_alpha_bar)
    safe = np.where(signal > 0, signal, 1.0)
    mean, var, log_var = process.q_posterior(s, a, b, t)
    coefs = column(s.posterior_mean_coef_x0) * a, column(s.posterior_mean_coef_xt) * b
    peer_mean, peer_var, peer_log_var = peer.call(theirs.q_posterior, a32, b32, t - 1)
    # One rounding for the coefficient, one for the product, one for the sum.
    compared = {
        "q_sample": (
            peer.call(theirs.q_sample, a32, t - 1, b32),
            process.q_sample(s, a, t, b),
            elementwise(3, signal * a, noise * b),
        ),
        "posterior mean": (peer_mean, mean, elementwise(3, *coefs)),
        "posterior variance": (peer_var, var, elementwise(1, var)),
        "posterior log variance": (peer_log_var, log_var, elementwise(1, log_var)),
        "v": (
            peer.call(theirs.predict_v, a32, t - 1, b32),
            process.v_from_x0(s, a, t, b),
            elementwise(3, signal * b, noise * a),
        ),
        "x0 from v": (
            peer.call(theirs.predict_start_from_v, a32, t - 1, b32),
            process.x0_from_v(s, a, t, b),
            elementwise(3, signal * a, noise * b),
        ),
        "x0 from eps": (
            peer.call(theirs.predict_start_from_noise, a32, t - 1, b32),
            process.x0_from_eps(s, a, t, b),
            elementwise(3, a / safe, noise / safe * b),
        ),
    }
    for what, (actual, expected, bound) in compared.items():
        share = float(np.max(np.abs(actual - expected) / bound))
        table.add(f"{what}, {name}, as shipped", f"{share:.2f} of its bound", "1")
        assert share <= 1.0, what


@pytest.mark.parametrize("T", [1000, 250])
def test_ddim_takes_the_same_steps_where_n_divides_T(T: int, peer: Any, table: Any) -> None:
    """It rounds linspace(-1, T - 1, n + 1) in float32 down, we have floor(i T / n) exactly.

    Between -1 and 0 it rounds up, so for an n that does not divide T some of its steps are off by
    one: how many n those are is noted, not tested.
    """
    torch = peer.torch
    differing = []
    for n in range(1, T):
        times = torch.linspace(-1, T - 1, steps=n + 1).int().tolist()[1:]
        same = tuple(i + 1 for i in reversed(times)) == spaced_timesteps(T, n)
        if not same:
            differing.append(n)
        assert same or T % n
    table.add(f"DDIM steps, T = {T}", f"{len(differing)} of {T - 1} n differ", "no divisor of T")


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("objective", PREDICTIONS)
@pytest.mark.parametrize(("n", "eta"), [(10, 0.0), (5, 0.7), (None, 1.0)])
def test_whole_walks_agree(
    name: str, objective: str, n: int | None, eta: float, peer: Any, table: Any
) -> None:
    """DDIM in n steps, and ancestral sampling (n None): the same network, start and noise.

    How far apart float64 may leave them is measured by a start that is off in its last bits.
    """
    T = 40
    self_condition = objective == "pred_x0"
    options = TINY | {"self_condition": self_condition}
    rng = np.random.default_rng(1)
    start, noise = rng.standard_normal(SHAPE), rng.standard_normal((T, *SHAPE))
    with peer.in_float64():
        theirs = diffusion(
            peer,
            peer.unet(2, **options).double(),
            timesteps=T,
            objective=objective,
            beta_schedule=name,
            sampling_timesteps=n,
            ddim_sampling_eta=eta,
        )
        with peer.drawing(start, iter(noise)):
            drawn = theirs.sample(len(start)).numpy() * 2 - 1
    params = {k: a.numpy() for k, a in theirs.model.state_dict().items()}
    schedule, times = make_schedule(name, T), spaced_timesteps(T, n or T)

    def walk(x_T: np.ndarray) -> np.ndarray:
        denoise = denoiser(schedule, objective, UnetConfig(**options), params)
        if n is None:
            return ancestral.sample(schedule, denoise, x_T, timesteps=times, noise=noise, clip=True)
        return ddim.sample(
            schedule, denoise, x_T, timesteps=times, eta=eta, noise=noise[:n], clip=True
        )

    ours = walk(start)
    # An untrained network that is fed its own estimates multiplies every rounding error.
    moved = float(np.max(np.abs(walk(start * (1 + 2**-50)) - ours)))
    allowed = 1e-12 + 1000 * moved
    error = float(np.max(np.abs(drawn - ours)))
    sampler = f"DDIM n = {n}, eta = {eta}" if n else "ancestral"
    table.add(f"{sampler}, {name}, {objective}, float64", f"{error:.1e}", f"{allowed:.0e}")
    assert error <= allowed <= 1e-5


def denoiser(
    schedule: Schedule, objective: str, config: UnetConfig, params: dict[str, np.ndarray]
) -> Any:
    """x0_hat of the reference's network, which is shown its last one where it is built for that."""
    estimates: list[np.ndarray | None] = [None]

    def predict_x0(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        last = estimates[-1]
        output = unet(params, config, x, t - 1.0, last if config.self_condition else None)
        x0_hat = x0_from_output(schedule, objective, x, t, output)
        estimates.append(np.clip(x0_hat, -1.0, 1.0))
        return x0_hat

    return predict_x0
