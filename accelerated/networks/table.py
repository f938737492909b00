"""The networks that there are: the class of each, by the name of its configuration.

A class is named as "module:name", the module seen from here: nothing is imported before a network
is made, so that what only reads a configuration does not wait for MindSpore.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...reference.config import NetworkConfig, network_name

if TYPE_CHECKING:
    from .network import Network

CLASSES = {
    "unet": ".unet:Unet",
    "unet1d": ".unet1d:Unet1D",
    "mlp": ".mlp:Mlp",
    "latent_unet": ".latent_unet:LatentUnet",
    "text_unet": ".text_unet:TextUnet",
}
"""For each of ``reference.config.NETWORKS``."""


def network_class(config: NetworkConfig) -> Any:
    """The class of the network that a configuration is of."""
    module, _, name = CLASSES[network_name(config)].partition(":")
    return getattr(import_module(module, __package__), name)


def build_network(config: NetworkConfig, seed: int = 0) -> Network:
    """The network that a configuration describes, at its initial parameters."""
    network: Network = network_class(config)(**config.to_dict(), seed=seed)
    return network
