"""The configuration of the U-Net over sequences."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from ..plain import make_plain
from .network import NetworkConfig, at_least_1


@dataclass(frozen=True)
class Unet1DConfig(NetworkConfig):
    """Shape of the U-Net over sequences (C, L).

    Attributes:
        dim: base width; level i has ``dim * dim_mults[i]`` channels. Even, at least 4.
        init_dim: width after the first convolution, over 7 places (default: ``dim``).
        dim_mults: one width multiplier for each resolution; n entries halve the sequence n - 1
            times.
        channels: numbers at each place of a sequence (1 mono, 2 stereo, one for each column, ...).
        self_condition: feed the last estimate of x_0 back in (arXiv 2208.04202).
        learned_sinusoidal_cond: time embedding with learned frequencies.
        random_fourier_features: time embedding with random, fixed frequencies.
        learned_sinusoidal_dim: number of those frequencies, times two. Even.
        sinusoidal_pos_emb_theta: longest wavelength of the fixed sinusoidal embedding / 2 pi.
        dropout: probability of dropping an activation in the first block of each residual pair.
        attn_dim_head: channels per head of the innermost attention (softmax).
        attn_heads: heads of the innermost attention.
        linear_attn_dim_head: channels per head of the linear attention on every level.
        linear_attn_heads: heads of the linear attention.
        num_classes: tell the network which of so many classes each item is of (default: of none).
        cond_drop_prob: share of items whose class is not told in training (arXiv 2207.12598).

    Raises:
        ValueError: a value that no network can be built from; the message names it.
    """

    rank: ClassVar[int] = 1

    dim: int
    init_dim: int | None = None
    dim_mults: tuple[int, ...] = (1, 2, 4, 8)
    channels: int = 3
    self_condition: bool = False
    learned_sinusoidal_cond: bool = False
    random_fourier_features: bool = False
    learned_sinusoidal_dim: int = 16
    sinusoidal_pos_emb_theta: float = 10000.0
    dropout: float = 0.0
    attn_dim_head: int = 32
    attn_heads: int = 4
    linear_attn_dim_head: int = 32
    linear_attn_heads: int = 4
    num_classes: int | None = None
    cond_drop_prob: float = 0.1

    def __post_init__(self) -> None:
        make_plain(self)
        if not self.dim_mults or any(m < 1 for m in self.dim_mults):
            raise ValueError(
                f"dim_mults {self.dim_mults} must hold positive multipliers, for example (1, 2, 4)"
            )
        self.check_numbers()
        at_least_1(self, "init_dim", "channels", "attn_dim_head", "attn_heads")
        at_least_1(self, "linear_attn_dim_head", "linear_attn_heads")

    @property
    def first_dim(self) -> int:
        """Channels after the first convolution."""
        return self.dim if self.init_dim is None else self.init_dim

    @property
    def widths(self) -> tuple[tuple[int, int], ...]:
        """Channels that each level reads and passes on, from the outermost to the innermost."""
        dims = (self.first_dim, *(self.dim * m for m in self.dim_mults))
        return tuple(pairwise(dims))

    @property
    def downsample_factor(self) -> int:
        """The length must be a multiple of this: 2 ** (len(dim_mults) - 1)."""
        return 1 << (len(self.dim_mults) - 1)

    def check_image_size(self, image_size: tuple[int, ...]) -> None:
        """Raise ValueError unless the length can be halved as often as the network does."""
        if len(image_size) != 1:
            raise ValueError(
                f"size {image_size} must be 1 number, the length of the sequences (seq_length)"
            )
        (length,) = image_size
        if length < 1:
            raise ValueError(f"sequence length {length} must be at least 1")
        if length % (factor := self.downsample_factor):
            below = length - length % factor
            near = " or ".join(str(n) for n in (below, below + factor) if n)
            raise ValueError(
                f"sequence length {length} is not divisible by {factor} "
                f"(2 ** (len(dim_mults) - 1)): choose {near}, or fewer dim_mults"
            )

    def dropout_shapes(self, image_size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """(C, L) of the activations that each residual block may drop, in forward order."""
        self.check_image_size(image_size)
        (length,) = image_size
        down = [(dim, length >> i) for i, (dim, _) in enumerate(self.widths)]
        up = [(dim_out, length >> i) for i, (_, dim_out) in enumerate(self.widths)]
        pairs = [shape for shape in (*down, up[-1], *reversed(up)) for _ in range(2)]
        return [*pairs, (self.first_dim, length)]
