"""What the configurations of all networks have in common."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar


class NetworkConfig:
    """What a network is told, and what others have to know of it.

    Attributes:
        dim: base width. Even, at least 4.
        channels: channels C of the items (C, *spatial).
        self_condition: feed the last estimate of x_0 back in (arXiv 2208.04202).
        dropout: probability of dropping an activation in the first block of each residual pair.
        sinusoidal_pos_emb_theta: longest wavelength of the time embedding / 2 pi.
        learned_variance: return as many channels again, which tell the variance of the step back
            (arXiv 2102.09672).
        num_classes: how many classes it is told of, if it is.
        cond_channels: channels of a picture that it is shown beside x, if it is.
        cond_drop_prob: share of items whose class or picture it is not told in training.
        lora_rank: rank of what is added to its weights and trained alone, if anything is.
        text_is_frozen: whether it has a text encoder that is not trained.
        rank: how many sides an item has: 2 for images, 1 for sequences, 0 for vectors.
    """

    dim: int
    channels: int
    self_condition: bool
    dropout: float
    learned_sinusoidal_cond: bool
    random_fourier_features: bool
    learned_sinusoidal_dim: int
    sinusoidal_pos_emb_theta: float
    learned_variance: bool = False
    num_classes: int | None = None
    cond_channels: int = 0
    cond_drop_prob: float = 0.1
    lora_rank: int | None = None
    text_is_frozen: bool = False

    rank: ClassVar[int] = 2

    @property
    def in_channels(self) -> int:
        """Channels that the first layer reads."""
        return self.channels * (2 if self.self_condition else 1) + self.cond_channels

    @property
    def takes_condition(self) -> bool:
        """Whether it is told a class, or shown a picture."""
        return self.num_classes is not None or self.cond_channels > 0

    @property
    def null_condition(self) -> int:
        """What stands for none: the number after the last class, or 0 everywhere in a picture."""
        return 0 if self.num_classes is None else self.num_classes

    @property
    def out_channels(self) -> int:
        """Channels that the network returns."""
        return self.channels

    @property
    def time_dim(self) -> int:
        """Width of the time embedding."""
        return 4 * self.dim

    @property
    def fourier_dim(self) -> int:
        """Width of the sinusoidal features that the time embedding reads."""
        if self.learned_sinusoidal_cond or self.random_fourier_features:
            return self.learned_sinusoidal_dim + 1
        return self.dim

    def check_image_size(self, image_size: tuple[int, ...]) -> None:
        """Raise ValueError unless items of these sides can pass through the network."""
        raise NotImplementedError

    def check_shown(self, factor: int | None, sides: tuple[int, ...]) -> None:
        """Raise ValueError unless it can be shown items of these sides, so many times smaller."""
        if factor is not None:
            raise ValueError(f"super_resolve {factor} is for images and their U-Net: leave it out")

    def dropout_shapes(self, image_size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Shapes of the activations that each residual block may drop, in forward order."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; the class, called with them, gives the configuration back."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]

    def check_out_channels(self) -> None:
        """Raise ValueError unless it returns what training needs: one number for each value, or two
        with a learned variance."""
        needed = self.channels * (2 if self.learned_variance else 1)
        if self.out_channels != needed:
            raise ValueError(
                f"the network returns {self.out_channels} channels for items of {self.channels}: "
                f"training needs {needed}, so leave out_dim alone"
            )

    def check_numbers(self) -> None:
        """Raise ValueError for a number that no network can be built from."""
        if self.dim < 4 or self.dim % 2:
            raise ValueError(
                f"dim {self.dim} must be even and at least 4 (it is half sines, half cosines)"
            )
        if self.learned_sinusoidal_dim < 2 or self.learned_sinusoidal_dim % 2:
            raise ValueError(
                f"learned_sinusoidal_dim {self.learned_sinusoidal_dim} must be even and positive"
            )
        at_least_1(self, "num_classes")
        if not 0.0 <= self.cond_drop_prob <= 1.0:
            raise ValueError(f"cond_drop_prob {self.cond_drop_prob} is a probability: from 0 to 1")
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout {self.dropout} is a probability: at least 0, less than 1")
        if not self.sinusoidal_pos_emb_theta > 0:
            raise ValueError(
                f"sinusoidal_pos_emb_theta {self.sinusoidal_pos_emb_theta} must be positive"
            )


def at_least_1(config: object, *names: str) -> None:
    """Raise ValueError for a field that is a number below 1."""
    for name in names:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} {value} must be at least 1")
