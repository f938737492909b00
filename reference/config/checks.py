"""What several configurations ask of their numbers."""

from __future__ import annotations


def check_halves(image_size: tuple[int, ...], factor: int) -> None:
    """Raise ValueError unless there are two sides, each a multiple of ``factor``."""
    if len(image_size) != 2:
        raise ValueError(f"image_size {image_size} must be two whole numbers: height and width")
    for side in image_size:
        if side < 1:
            raise ValueError(f"image_size {side} must be at least 1")
        if side % factor:
            raise ValueError(
                f"image_size {side} is not divisible by {factor} (2 ** (len(dim_mults) - 1))"
            )


def check_widths(dim: int, dim_mults: tuple[int, ...], groups: int) -> None:
    """Raise ValueError unless there are widths, and the groups divide them."""
    if not dim_mults or any(m < 1 for m in dim_mults):
        raise ValueError(
            f"dim_mults {dim_mults} must hold positive multipliers, for example (1, 2, 4)"
        )
    for name, value in (("dim", dim), ("groups", groups)):
        if value < 1:
            raise ValueError(f"{name} {value} must be at least 1")
    for multiplier in dim_mults:
        if dim * multiplier % groups:
            raise ValueError(
                f"groups {groups} must divide the width of each level, and {dim} * {multiplier} is "
                f"no multiple of it: choose {_fewer(dim, groups)}"
            )


def _fewer(dim: int, groups: int) -> int:
    """The largest number of groups up to this one that divides ``dim``."""
    return next(n for n in range(min(groups, dim), 0, -1) if dim % n == 0)
