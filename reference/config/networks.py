"""The networks that there are, each by the name that config.json has for it."""

from __future__ import annotations

from typing import TypeAlias

from .latent_unet import LatentUnetConfig
from .mlp import MlpConfig
from .network import NetworkConfig
from .unet import UnetConfig
from .unet1d import Unet1DConfig

AnyNetwork: TypeAlias = UnetConfig | Unet1DConfig | MlpConfig | LatentUnetConfig
"""The configuration of one of them."""

NETWORKS: dict[str, type[AnyNetwork]] = {
    "unet": UnetConfig,
    "unet1d": Unet1DConfig,
    "mlp": MlpConfig,
    "latent_unet": LatentUnetConfig,
}
"""Of images (C, H, W), sequences (C, L), vectors (C,), and of images or latents with a text."""


def network_name(config: NetworkConfig) -> str:
    """The name of the network that a configuration is of.

    Raises:
        ValueError: of none of them.
    """
    for name, kind in NETWORKS.items():
        if isinstance(config, kind):
            return name
    known = ", ".join(kind.__name__ for kind in NETWORKS.values())
    raise ValueError(f"network {config!r} is of no kind that is known: make it one of {known}")
