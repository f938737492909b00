"""The configuration of the causal text transformer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ..plain import make_plain
from .network import at_least_1


@dataclass(frozen=True)
class TransformerConfig:
    """Shape of the text encoder of CLIP (Radford et al. 2021, arXiv 2103.00020, section 2.4).

    Attributes:
        vocabulary: rows of the token table; ids are less than this.
        length: learned positions: the longest text.
        width: of each state. A multiple of ``heads``.
        layers: blocks.
        heads: attention heads.
        hidden: width between the two linear layers of a block (default: four times ``width``).
        norm_eps: what layer norms add to the variance. The published Chinese weights were trained
            with 1e-7, most others with 1e-5.

    Raises:
        ValueError: a value that no network can be built from; the message names it.
    """

    vocabulary: int = 21_128
    length: int = 77
    width: int = 192
    layers: int = 4
    heads: int = 4
    hidden: int | None = None
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        make_plain(self)
        at_least_1(self, "vocabulary", "length", "width", "layers", "heads", "hidden")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        if not self.norm_eps > 0:
            raise ValueError(f"norm_eps {self.norm_eps} must be positive")

    @property
    def inner(self) -> int:
        """Width between the two linear layers of a block."""
        return 4 * self.width if self.hidden is None else self.hidden

    def check_ids(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError unless this is the shape of a batch of texts that fit."""
        if len(shape) != 2 or not 1 <= shape[1] <= self.length:
            raise ValueError(
                f"ids have shape {shape}: it must be (B, N), N at least 1, at most {self.length}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``TransformerConfig(**d)`` gives the configuration back."""
        return asdict(self)
