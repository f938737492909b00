"""What both sides are told: one dataclass an idea."""

from .diffusion import DiffusionConfig
from .optimizer import OptimizerConfig
from .sampling import SamplingConfig
from .unet import UnetConfig

__all__ = ["DiffusionConfig", "OptimizerConfig", "SamplingConfig", "UnetConfig"]
