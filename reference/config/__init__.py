"""What both sides are told: one dataclass an idea."""

from .autoencoder import AutoencoderConfig
from .diffusion import DiffusionConfig
from .latent_unet import LatentUnetConfig
from .mlp import MlpConfig
from .network import NetworkConfig
from .networks import NETWORKS, AnyNetwork, merged_network, network_name
from .optimizer import OptimizerConfig
from .sampling import SamplingConfig
from .text_unet import TextUnetConfig
from .transformer import TransformerConfig
from .unet import UnetConfig
from .unet1d import Unet1DConfig

__all__ = [
    "NETWORKS",
    "AnyNetwork",
    "AutoencoderConfig",
    "DiffusionConfig",
    "LatentUnetConfig",
    "MlpConfig",
    "NetworkConfig",
    "OptimizerConfig",
    "SamplingConfig",
    "TextUnetConfig",
    "TransformerConfig",
    "Unet1DConfig",
    "UnetConfig",
    "merged_network",
    "network_name",
]
