"""The configuration of the autoencoder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..plain import make_plain
from .checks import check_halves, check_widths
from .network import at_least_1


@dataclass(frozen=True)
class AutoencoderConfig:
    """Shape of the autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752, G).

    Attributes:
        dim: base width; level i has ``dim * dim_mults[i]`` channels.
        dim_mults: one width multiplier for each resolution; n entries halve the image n - 1 times.
        blocks: residual blocks of a level on the way in; on the way out there is one more.
        channels: channels of the images.
        latent_channels: channels of the latents.
        groups: groups of channels that are normalised together. It divides every width.

    Raises:
        ValueError: a value that no network can be built from; the message names it.
    """

    dim: int = 32
    dim_mults: tuple[int, ...] = (1, 2, 4)
    blocks: int = 1
    channels: int = 3
    latent_channels: int = 4
    groups: int = 8

    def __post_init__(self) -> None:
        make_plain(self)
        check_widths(self.dim, self.dim_mults, self.groups)
        at_least_1(self, "blocks", "channels", "latent_channels")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the levels, from the outermost to the innermost."""
        return tuple(self.dim * m for m in self.dim_mults)

    @property
    def downsample_factor(self) -> int:
        """An image's side by that of its latents: 2 ** (len(dim_mults) - 1)."""
        return 1 << (len(self.dim_mults) - 1)

    def check_image_size(self, image_size: tuple[int, ...]) -> None:
        """Raise ValueError unless both sides can be halved as often as the network does."""
        check_halves(image_size, self.downsample_factor)

    def latent_shape(self, image_size: tuple[int, ...]) -> tuple[int, int, int]:
        """(C, H, W) of the latents of an image of this size."""
        self.check_image_size(image_size)
        height, width = (side // self.downsample_factor for side in image_size)
        return self.latent_channels, height, width

    def picture_shape(self, sides: tuple[int, ...]) -> tuple[int, int, int]:
        """(C, H, W) of the images whose latents have these sides."""
        height, width = (side * self.downsample_factor for side in sides)
        return self.channels, height, width

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``AutoencoderConfig(**d)`` gives the configuration back."""
        return asdict(self)
