"""The configuration of the network over vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..plain import make_plain
from .network import NetworkConfig, at_least_1


@dataclass(frozen=True)
class MlpConfig(NetworkConfig):
    """Shape of the residual network over vectors (C,): the U-Net's blocks on one level.

    Attributes:
        dim: width. Even, at least 4.
        depth: number of residual blocks, of two layers each.
        channels: numbers in a vector: the columns of a table, or points times dimensions of a set
            of points.
        self_condition: feed the last estimate of x_0 back in (arXiv 2208.04202).
        learned_sinusoidal_cond: time embedding with learned frequencies.
        random_fourier_features: time embedding with random, fixed frequencies.
        learned_sinusoidal_dim: number of those frequencies, times two. Even.
        sinusoidal_pos_emb_theta: longest wavelength of the fixed sinusoidal embedding / 2 pi.
        dropout: probability of dropping an activation in the first layer of each block.
        num_classes: tell the network which of so many classes each item is of (default: of none).
        cond_drop_prob: share of items whose class is not told in training (arXiv 2207.12598).

    Raises:
        ValueError: a value that no network can be built from; the message names it.
    """

    rank: ClassVar[int] = 0

    dim: int = 128
    depth: int = 4
    channels: int = 2
    self_condition: bool = False
    learned_sinusoidal_cond: bool = False
    random_fourier_features: bool = False
    learned_sinusoidal_dim: int = 16
    sinusoidal_pos_emb_theta: float = 10000.0
    dropout: float = 0.0
    num_classes: int | None = None
    cond_drop_prob: float = 0.1

    def __post_init__(self) -> None:
        make_plain(self)
        self.check_numbers()
        at_least_1(self, "depth", "channels")

    def check_image_size(self, image_size: tuple[int, ...]) -> None:
        """Raise ValueError unless it is (): vectors have no sides."""
        if image_size != ():
            raise ValueError(f"size {image_size} must be (): vectors have channels alone")

    def dropout_shapes(self, image_size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """(dim,) for each block."""
        self.check_image_size(image_size)
        return [(self.dim,)] * self.depth
