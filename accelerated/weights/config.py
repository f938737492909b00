"""The configuration that weights belong to, from their names, their shapes and the tables beside.

``denoising-diffusion-pytorch`` saves no configuration, so a network is recognised by its parameters
and a diffusion by its tables. What they do not tell, the caller has to say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...reference.config import DiffusionConfig, UnetConfig
from ...reference.config.diffusion import PREDICTIONS
from ...reference.schedule import SCHEDULES, Schedule, make_schedule
from .read import PEER

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
T = TypeVar("T", int, str)

BETA_TOLERANCE = 2e-4
"""The tables are float32, and so are the end points of the sigmoid rule over there: its betas are
off by up to 5e-5 of themselves. Two rules differ by far more."""

WEIGHT_TOLERANCE = 2e-3
"""The SNR adds up what betas are off by: at the end of a sigmoid schedule 5e-4."""


def unet_config(arrays: Tensors, theta: float = 10000.0) -> UnetConfig:
    """The configuration that parameters of these names and shapes belong to.

    Not in them: dropout, which sampling does without; the ``theta`` of the fixed sinusoidal
    embedding; whether the frequencies of the other embedding were learned or only drawn.

    Raises:
        ValueError: they are not a U-Net's, or one's that cannot be sampled from here.
    """
    shape = {name: array.shape for name, array in arrays.items()}
    levels = len({name.split(".")[1] for name in shape if re.match(r"downs\.\d+\.", name)})
    try:
        init_dim, in_channels = shape["init_conv.weight"][:2]
        dim = shape["time_mlp.3.weight"][0] // 4
        widths = [shape[f"downs.{i}.3.1.weight"][0] for i in range(levels - 1)]
        widths.append(shape[f"downs.{levels - 1}.3.weight"][0])
        channels = shape["final_conv.weight"][0]
        full = tuple(f"downs.{i}.2.to_out.weight" in shape for i in range(levels))
        memory = [shape[f"downs.{i}.2.mem_kv"] for i in range(levels)]
    except KeyError as error:
        theirs = (
            f" (theirs begin with {next(iter(shape))!r})" if shape else ", and no arrays at all"
        )
        raise ValueError(
            f"the weights have no {error}, as the U-Net of {PEER} has{theirs}: only that network "
            "can be imported"
        ) from None
    _check_channels(in_channels, channels)
    fourier = shape.get("time_mlp.0.weights")
    return UnetConfig(
        dim=dim,
        init_dim=None if init_dim == dim else init_dim,
        dim_mults=tuple(width // dim for width in widths),
        channels=channels,
        self_condition=in_channels == 2 * channels,
        learned_sinusoidal_cond=fourier is not None,
        learned_sinusoidal_dim=16 if fourier is None else 2 * fourier[0],
        sinusoidal_pos_emb_theta=theta,
        attn_heads=_one([m[1] for m in memory]),
        # Memory is (2, heads, pairs, width) in full attention, (2, heads, width, pairs) in linear.
        attn_dim_head=_one([m[3] if f else m[2] for m, f in zip(memory, full, strict=True)]),
        full_attn=None if full == (*(False,) * (levels - 1), True) else full,
    )


def _one(values: Sequence[int]) -> int | tuple[int, ...]:
    return values[0] if len(set(values)) == 1 else tuple(values)


def _check_channels(in_channels: int, out_channels: int) -> None:
    if in_channels not in (out_channels, 2 * out_channels):
        raise ValueError(
            f"the network reads {in_channels} channels and returns {out_channels} "
            "(learned_variance or out_dim): only networks that return as many channels as images "
            "have can be imported"
        )


def diffusion_config(
    tables: Tensors,
    timesteps: int | None = None,
    objective: str | None = None,
    beta_schedule: str | None = None,
) -> DiffusionConfig:
    """What the tables say, checked against what the caller says (None: nothing).

    Raises:
        ValueError: something that neither of them says, or that they contradict each other in.
    """
    if tables:
        betas = tables["betas"]
        timesteps = _agree("timesteps", timesteps, [len(betas)])
        beta_schedule = _agree("beta_schedule", beta_schedule, rules_of(betas))
        schedule = make_schedule(beta_schedule, timesteps)
        objective = _agree("objective", objective, objectives_of(schedule, tables["loss_weight"]))
    said = {"timesteps": timesteps, "objective": objective, "beta_schedule": beta_schedule}
    for name, value in said.items():
        if value is None:
            raise ValueError(
                f"{name} is not in weights of a U-Net alone: say what it was trained with "
                f"(--{name.replace('_', '-')}; {PEER} itself takes "
                f"{getattr(DiffusionConfig(), name)!r} when told nothing)"
            )
    return DiffusionConfig(**said)  # type: ignore[arg-type]


def _agree(name: str, said: T | None, found: Sequence[T]) -> T:
    """What was found; what was said, where that is among it."""
    if said in found and said is not None:
        return said
    if said is None and len(found) == 1:
        return found[0]
    listed = " or ".join(map(repr, found)) or "none that is known here"
    if said is None:
        raise ValueError(
            f"the {name} of the weights is {listed}: "
            + ("say which" if found else "weights of such a diffusion cannot be imported")
        )
    raise ValueError(f"{name} {said!r} contradicts the weights, where it is {listed}")


def rules_of(betas: NDArray[Any]) -> list[str]:
    """Names of the rules that give these betas (T,) at this T."""
    return [
        name
        for name in SCHEDULES
        if np.allclose(betas, make_schedule(name, len(betas)).beta[1:], BETA_TOLERANCE, 0.0)
    ]


def objectives_of(schedule: Schedule, loss_weight: NDArray[Any]) -> list[str]:
    """Names of the objectives that the loss is weighted by ``loss_weight`` (T,) for.

    With c = min(SNR, gamma), or c = SNR without a limit, the weight over there is c / SNR for
    pred_noise, c for pred_x0, and c / (SNR + 1) for pred_v (arXiv 2303.09556, section 3.4).
    """
    snr = schedule.snr[1:]
    factors = {"pred_noise": snr, "pred_x0": np.ones_like(snr), "pred_v": snr + 1.0}

    def fits(c: NDArray[Any]) -> bool:
        return np.allclose(c, np.minimum(snr, c.max()), WEIGHT_TOLERANCE, 0.0)

    return [name for name in PREDICTIONS if fits(loss_weight * factors[name])]
