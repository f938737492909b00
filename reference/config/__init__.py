"""What both sides are told: one dataclass an idea."""

from .diffusion import DiffusionConfig
from .mlp import MlpConfig
from .network import NetworkConfig
from .networks import NETWORKS, AnyNetwork, network_name
from .optimizer import OptimizerConfig
from .sampling import SamplingConfig
from .unet import UnetConfig
from .unet1d import Unet1DConfig

__all__ = [
    "NETWORKS",
    "AnyNetwork",
    "DiffusionConfig",
    "MlpConfig",
    "NetworkConfig",
    "OptimizerConfig",
    "SamplingConfig",
    "Unet1DConfig",
    "UnetConfig",
    "network_name",
]
