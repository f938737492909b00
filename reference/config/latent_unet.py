"""The configuration of the U-Net of latent diffusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..plain import make_plain
from .checks import check_halves, check_widths
from .network import NetworkConfig, at_least_1


@dataclass(frozen=True)
class Stage:
    """One entry of the way in or of the way out: a residual block with what follows it.

    Attributes:
        dim_in, dim_out: channels before and after.
        level: the resolution, 0 the outermost.
        attention: whether a spatial transformer follows.
        rescale: whether it halves the image instead (way in), or then doubles it (way out).
    """

    dim_in: int
    dim_out: int
    level: int
    attention: bool
    rescale: bool = False


@dataclass(frozen=True)
class LatentUnetConfig(NetworkConfig):
    """Shape of the U-Net of latent diffusion (Rombach et al. 2022, arXiv 2112.10752, section 3.3).

    Attributes:
        dim: base width; level i has ``dim * dim_mults[i]`` channels. Even, at least 4.
        dim_mults: one width multiplier for each resolution; n entries halve n - 1 times.
        channels: channels of the latents, and of the output.
        extra_channels: channels that the network is shown beside them: 5 where it inpaints, the
            mask and the latents of the masked image.
        blocks: residual blocks of a level on the way in; on the way out there is one more.
        attention: spatial transformers at every level (True), at none (False), or one value for
            each (default: at all levels but the innermost). There is one in the middle always.
        heads: attention heads, everywhere. They divide the widths of the levels that have them.
        context_dim: width of the text's states.
        groups: groups of channels that are normalised together. It divides every width.
        gelu: the GELU of the feed-forward layers: "erf", or its approximation "tanh", which is
            faster, and which the published Chinese weights were trained with.
        norm_eps: what the layer norms of the transformers add to the variance.
        dropout: probability of dropping an activation within a residual block.

    Raises:
        ValueError: a value that no network can be built from; the message names it.
    """

    dim: int = 64
    dim_mults: tuple[int, ...] = (1, 2, 4)
    channels: int = 4
    extra_channels: int = 0
    blocks: int = 2
    attention: bool | tuple[bool, ...] | None = None
    heads: int = 4
    context_dim: int = 192
    groups: int = 8
    gelu: Literal["tanh", "erf"] = "tanh"
    norm_eps: float = 1e-5
    dropout: float = 0.0

    # What other networks leave open. It is never shown its last estimate.
    self_condition = False
    learned_sinusoidal_cond = False
    random_fourier_features = False
    learned_sinusoidal_dim = 16
    sinusoidal_pos_emb_theta = 10000.0

    def __post_init__(self) -> None:
        make_plain(self)
        check_widths(self.dim, self.dim_mults, self.groups)
        self.check_numbers()
        at_least_1(self, "channels", "blocks", "heads", "context_dim")
        if self.extra_channels < 0:
            raise ValueError(f"extra_channels {self.extra_channels} must be at least 0")
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps {self.norm_eps} must be positive")
        if self.gelu not in ("erf", "tanh"):
            raise ValueError(f"gelu {self.gelu!r} must be 'erf' or 'tanh'")
        if isinstance(self.attention, tuple) and len(self.attention) != len(self.dim_mults):
            raise ValueError(
                f"attention {self.attention} has {len(self.attention)} entries: give one value, or "
                f"one for each of the {len(self.dim_mults)} dim_mults"
            )
        for width in (*(s.dim_out for s in self.input_stages if s.attention), self.widths[-1]):
            if width % self.heads:
                raise ValueError(
                    f"heads {self.heads} must divide the width {width} of a level with attention"
                )

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the levels, from the outermost to the innermost."""
        return tuple(self.dim * m for m in self.dim_mults)

    @property
    def has_attention(self) -> tuple[bool, ...]:
        """For each level, whether it has spatial transformers."""
        if isinstance(self.attention, tuple):
            return self.attention
        last = len(self.dim_mults) - 1
        return tuple(
            i < last if self.attention is None else self.attention for i in range(last + 1)
        )

    @property
    def input_stages(self) -> tuple[Stage, ...]:
        """The way in, after the first convolution, which has the width ``dim``."""
        stages, width = [], self.dim
        for level, dim_out in enumerate(self.widths):
            for _ in range(self.blocks):
                stages.append(Stage(width, dim_out, level, self.has_attention[level]))
                width = dim_out
            if level < len(self.widths) - 1:
                stages.append(Stage(width, width, level, attention=False, rescale=True))
        return tuple(stages)

    @property
    def output_stages(self) -> tuple[Stage, ...]:
        """The way out: each reads the result of its counterpart on the way in besides."""
        skips = [self.dim, *(stage.dim_out for stage in self.input_stages)]
        stages, width = [], self.widths[-1]
        for level, dim_out in reversed([*enumerate(self.widths)]):
            for block in range(self.blocks + 1):
                doubles = level > 0 and block == self.blocks
                attention = self.has_attention[level]
                stages.append(Stage(width + skips.pop(), dim_out, level, attention, doubles))
                width = dim_out
        return tuple(stages)

    @property
    def in_channels(self) -> int:
        """Channels that the first convolution reads."""
        return self.channels + self.extra_channels

    @property
    def downsample_factor(self) -> int:
        """Height and width must be multiples of this: 2 ** (len(dim_mults) - 1)."""
        return 1 << (len(self.dim_mults) - 1)

    def check_image_size(self, image_size: tuple[int, ...]) -> None:
        """Raise ValueError unless both sides can be halved as often as the network does."""
        check_halves(image_size, self.downsample_factor)

    def dropout_shapes(self, image_size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """(C, H, W) of the activations that each residual block may drop, in forward order."""
        self.check_image_size(image_size)
        height, width = image_size
        last = len(self.widths) - 1
        middle = [(self.widths[-1], last)] * 2
        blocks = [(s.dim_out, s.level) for s in self.input_stages if not s.rescale]
        blocks += middle + [(s.dim_out, s.level) for s in self.output_stages]
        return [(dim, height >> level, width >> level) for dim, level in blocks]
