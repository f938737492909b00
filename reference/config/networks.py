"""The networks that there are, each by the name that config.json has for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeAlias, TypeVar

from .latent_unet import LatentUnetConfig
from .mlp import MlpConfig
from .network import NetworkConfig
from .text_unet import TextUnetConfig
from .unet import UnetConfig
from .unet1d import Unet1DConfig

AnyNetwork: TypeAlias = UnetConfig | Unet1DConfig | MlpConfig | LatentUnetConfig | TextUnetConfig
"""The configuration of one of them."""

NETWORKS: dict[str, type[AnyNetwork]] = {
    "unet": UnetConfig,
    "unet1d": Unet1DConfig,
    "mlp": MlpConfig,
    "latent_unet": LatentUnetConfig,
    "text_unet": TextUnetConfig,
}
"""Of images (C, H, W), sequences (C, L), vectors (C,), images that are told the states of a text,
and images that are told a text."""


def network_name(config: NetworkConfig) -> str:
    """The name of the network that a configuration is of.

    Raises:
        ValueError: of none of them.
    """
    names = {kind: name for name, kind in NETWORKS.items()}
    for kind in type(config).__mro__:
        if kind in names:
            return names[kind]
    known = ", ".join(kind.__name__ for kind in NETWORKS.values())
    raise ValueError(f"network {config!r} is of no kind that is known: make it one of {known}")


N = TypeVar("N", bound=NetworkConfig)


def merged_network(config: N) -> N:
    """The same network, in whose weights is what is added to them (LoRA), where anything is."""
    if config.lora_rank is None:
        return config
    return replace(config, lora_rank=None, lora_alpha=None, lora_text_encoder=False)  # type: ignore[type-var]
