"""Which part of an image is shown when its proportions are not those that are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ...reference.plain import check_choice
from ..config import CROPS

Box: TypeAlias = tuple[float, float, float, float]


@dataclass(frozen=True)
class Crop:
    """A rule that cuts a box out of an image, which is then resized to the size that is wanted.

    Attributes:
        kind: ``center``: the largest box of the right proportions, in the middle; ``random``: as
            large, at a random place; ``random_resized``: of a random size as well; ``none``: the
            whole image, so that its proportions change.
        min_share: random_resized: side of the smallest box, as a share of the largest (0.8 is
            what guided diffusion trains with, arXiv 2105.05233).

    Raises:
        ValueError: another kind, or min_share outside (0, 1].
    """

    kind: str = "center"
    min_share: float = 0.8

    def __post_init__(self) -> None:
        check_choice("crop", self.kind, CROPS)
        if not 0 < self.min_share <= 1:
            raise ValueError(f"crop_min_share {self.min_share} must be more than 0, at most 1")

    @property
    def draws(self) -> int:
        """How many random numbers each image takes."""
        return 3 if self.kind in ("random", "random_resized") else 0

    @property
    def least_share(self) -> float:
        """The smallest share of an image's shorter side that may be asked for."""
        return self.min_share if self.kind == "random_resized" else 1.0

    def box(
        self, size: tuple[int, int], image_size: tuple[int, int], draw: Sequence[float] = ()
    ) -> Box:
        """Return the box (left, top, right, bottom) to cut out.

        Args:
            size: (width, height) of the image.
            image_size: (height, width) that is wanted.
            draw: three uniform numbers in [0, 1) for size, left and top; none: the middle.
        """
        width, height = size
        if self.kind == "none":
            return 0, 0, width, height
        ratio = image_size[1] / image_size[0]
        w, h = min(width, height * ratio), min(height, width / ratio)
        if not self.draws or not draw:
            left, top = (width - w) / 2, (height - h) / 2
            return left, top, left + w, top + h
        share = self.least_share + (1 - self.least_share) * draw[0]
        w, h = share * w, share * h
        # Whole pixels: a box that needs no resizing then keeps its pixels.
        left, top = int(draw[1] * (int(width - w) + 1)), int(draw[2] * (int(height - h) + 1))
        return left, top, min(left + w, width), min(top + h, height)


CENTER = Crop()
