"""The networks that there are, by the name that ``config.NETWORKS`` gives to the configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import autograd.numpy as np

from ..config import NetworkConfig, network_name
from . import latent_unet, mlp, text_unet, unet, unet1d
from .layers import Array, Params
from .parameters import Shapes


class Functions(NamedTuple):
    """What defines a network: its function, its first parameters, and their names and shapes."""

    apply: Callable[..., Array]
    init: Callable[..., dict[str, Array]]
    param_shapes: Callable[..., Shapes]


NETWORKS = {
    "unet": Functions(unet.unet, unet.init, unet.param_shapes),
    "unet1d": Functions(unet1d.unet1d, unet1d.init, unet1d.param_shapes),
    "mlp": Functions(mlp.mlp, mlp.init, mlp.param_shapes),
    "latent_unet": Functions(latent_unet.latent_unet, latent_unet.init, latent_unet.param_shapes),
    "text_unet": Functions(text_unet.text_unet, text_unet.init, text_unet.param_shapes),
}


def network(params: Params, config: NetworkConfig, *args: Any) -> Array:
    """Apply the network that the configuration is of, to (x, time, x_self_cond, dropout_masks).

    And to a condition last, for one that takes any.
    """
    *others, condition = args if len(args) == 5 else (*args, None)
    others = others if condition is None else [*others, condition]
    return NETWORKS[network_name(config)].apply(params, config, *others)


def init(config: NetworkConfig, rng: np.random.Generator) -> dict[str, Array]:
    """Its first parameters, in float64."""
    return NETWORKS[network_name(config)].init(config, rng)


def param_shapes(config: NetworkConfig) -> Shapes:
    """Name and shape of each of its parameters."""
    return NETWORKS[network_name(config)].param_shapes(config)
