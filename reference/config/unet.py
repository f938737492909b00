"""The configuration of the U-Net."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from ..plain import make_plain
from .network import NetworkConfig, at_least_1

T = TypeVar("T", int, bool)


@dataclass(frozen=True)
class Level:
    """One resolution of the U-Net: widths on its way down, and the attention it uses."""

    dim_in: int
    dim_out: int
    full_attn: bool
    heads: int
    dim_head: int
    is_innermost: bool


@dataclass(frozen=True)
class UnetConfig(NetworkConfig):
    """Shape of the U-Net of Ho et al. 2020 (arXiv 2006.11239, appendix B), as built today.

    Attributes:
        dim: base width; level i has ``dim * dim_mults[i]`` channels. Even, at least 4.
        init_dim: width after the first 7x7 convolution (default: ``dim``).
        out_dim: channels that the network returns (default: ``channels``, twice that
            with ``learned_variance``).
        dim_mults: one width multiplier for each resolution; n entries halve the image n - 1 times.
        channels: channels of the images (1 grey, 3 RGB, ...).
        self_condition: feed the last estimate of x_0 back in (arXiv 2208.04202).
        learned_variance: return a second map per channel, from which the variance of each step is
            learned: sample with ancestral and variance learned (arXiv 2102.09672).
        learned_sinusoidal_cond: time embedding with learned frequencies.
        random_fourier_features: time embedding with random, fixed frequencies.
        learned_sinusoidal_dim: number of those frequencies, times two. Even.
        sinusoidal_pos_emb_theta: longest wavelength of the fixed sinusoidal embedding / 2 pi.
        dropout: probability of dropping an activation in the first block of each residual pair.
        attn_dim_head: channels per attention head, one number or one for each level.
        attn_heads: attention heads, one number or one for each level.
        full_attn: softmax attention (True) or linear attention (False), one value or one for
            each level (default: softmax attention at the innermost level only).
        num_classes: tell the network which of so many classes each image is of (default: of none).
        cond_channels: channels of a picture of the same size that the network is shown beside x,
            as a small one enlarged (arXiv 2104.07636); 0: none.
        cond_drop_prob: share of images whose class (or picture) is not told in training, so that
            the network learns what all have in common too, as guidance needs it (arXiv 2207.12598).

    Raises:
        ValueError: a value that no network can be built from; the message names it.
    """

    dim: int
    init_dim: int | None = None
    out_dim: int | None = None
    dim_mults: tuple[int, ...] = (1, 2, 4, 8)
    channels: int = 3
    self_condition: bool = False
    learned_variance: bool = False
    learned_sinusoidal_cond: bool = False
    random_fourier_features: bool = False
    learned_sinusoidal_dim: int = 16
    sinusoidal_pos_emb_theta: float = 10000.0
    dropout: float = 0.0
    attn_dim_head: int | tuple[int, ...] = 32
    attn_heads: int | tuple[int, ...] = 4
    full_attn: bool | tuple[bool, ...] | None = None
    num_classes: int | None = None
    cond_channels: int = 0
    cond_drop_prob: float = 0.1

    def __post_init__(self) -> None:
        make_plain(self)
        if not self.dim_mults or any(m < 1 for m in self.dim_mults):
            raise ValueError(
                f"dim_mults {self.dim_mults} must hold positive multipliers, for example (1, 2, 4)"
            )
        self.check_numbers()
        at_least_1(self, "init_dim", "out_dim", "channels")
        if self.cond_channels < 0:
            raise ValueError(f"cond_channels {self.cond_channels} must not be negative")
        if self.cond_channels and self.num_classes is not None:
            raise ValueError(
                f"cond_channels {self.cond_channels} and num_classes {self.num_classes}: a network "
                "is shown a picture or told a class, leave one of them out"
            )
        for name in ("attn_dim_head", "attn_heads"):
            if any(value < 1 for value in self._per_level(name, getattr(self, name))):
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1 everywhere")
        self._per_level("full_attn", False if self.full_attn is None else self.full_attn)

    def _per_level(self, name: str, value: T | tuple[T, ...]) -> tuple[T, ...]:
        levels = len(self.dim_mults)
        if not isinstance(value, tuple):
            return (value,) * levels
        if len(value) != levels:
            raise ValueError(
                f"{name} {value} has {len(value)} entries: give one value, or one for each of "
                f"the {levels} dim_mults"
            )
        return value

    @property
    def levels(self) -> tuple[Level, ...]:
        """The resolutions from the outermost to the innermost."""
        dims = (self.first_dim, *(self.dim * m for m in self.dim_mults))
        last = len(self.dim_mults) - 1
        full = self.full_attn or (*(False,) * last, True)
        return tuple(
            Level(dims[i], dims[i + 1], full_attn, heads, dim_head, is_innermost=i == last)
            for i, (full_attn, heads, dim_head) in enumerate(
                zip(
                    self._per_level("full_attn", full),
                    self._per_level("attn_heads", self.attn_heads),
                    self._per_level("attn_dim_head", self.attn_dim_head),
                    strict=True,
                )
            )
        )

    @property
    def first_dim(self) -> int:
        """Channels after the first convolution."""
        return self.dim if self.init_dim is None else self.init_dim

    @property
    def out_channels(self) -> int:
        """Channels that the network returns."""
        default = self.channels * (2 if self.learned_variance else 1)
        return default if self.out_dim is None else self.out_dim

    @property
    def downsample_factor(self) -> int:
        """Height and width must be multiples of this: 2 ** (len(dim_mults) - 1)."""
        return 1 << (len(self.dim_mults) - 1)

    def check_image_size(self, image_size: tuple[int, ...]) -> None:
        """Raise ValueError unless both sides can be halved as often as the network does."""
        if len(image_size) != 2:
            raise ValueError(
                f"image_size {image_size} must be a whole number or 2: height and width"
            )
        for side in image_size:
            if side < 1:
                raise ValueError(f"image_size {side} must be at least 1")
            if side % self.downsample_factor:
                raise ValueError(
                    f"image_size {side} is not divisible by {self.downsample_factor} "
                    "(2 ** (len(dim_mults) - 1))"
                )

    def check_shown(self, factor: int | None, sides: tuple[int, ...]) -> None:
        """Raise ValueError unless images of these sides can be shown, so many times smaller."""
        if factor is None and self.cond_channels:
            raise ValueError(
                f"cond_channels {self.cond_channels} are a small picture's: say how many times "
                "smaller it is (super_resolve 4), or leave them out"
            )
        if factor is None:
            return
        if any(side % factor for side in sides):
            size = " x ".join(map(str, sides))
            raise ValueError(f"super_resolve {factor} does not divide {size}, the images' size")
        if self.cond_channels not in (0, self.channels):
            raise ValueError(
                f"cond_channels {self.cond_channels} must be those of the images, {self.channels}"
            )
        if self.num_classes is not None:
            raise ValueError(
                f"super_resolve {factor} is for a network without classes: leave them out"
            )

    def dropout_shapes(self, image_size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """(C, H, W) of the activations that each residual block may drop, in forward order."""
        self.check_image_size(image_size)
        height, width = image_size
        down = [(v.dim_in, height >> i, width >> i) for i, v in enumerate(self.levels)]
        up = [(v.dim_out, height >> i, width >> i) for i, v in enumerate(self.levels)]
        pairs = [shape for shape in (*down, up[-1], *reversed(up)) for _ in range(2)]
        return [*pairs, (self.first_dim, height, width)]
