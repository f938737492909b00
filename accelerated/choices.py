"""Names and numbers that several commands let one choose from: averages, precision."""

from __future__ import annotations

from typing import Literal

from ..reference.plain import check_choice

AMP_LEVELS = ("O0", "O1", "O2", "O3")
AMP_DTYPES = ("float16", "bfloat16")
WEIGHTS = {"average": "ema", "trained": "model"}
"""What one may draw with or start from, and which tensors of a checkpoint that is."""

PAINTERS = SCENE_PAINTER, PICTURE_PAINTER = ("painter-scenes", "painter-pictures")
"""What ``--run`` and ``--from`` call the models that come with the program; where a folder has such
a name: ./painter-scenes."""


def check_sigma_rel(argument: str, value: float) -> None:
    """Raise ValueError unless ``value`` is a length of an average as a share of training."""
    if not 0.0 < value <= 0.28:
        raise ValueError(f"{argument} {value} must be above 0 and at most 0.28")


def check_precision(amp_level: str, amp_dtype: str) -> None:
    """Raise ValueError unless these are names of a level and of a half precision."""
    check_choice("amp_level", amp_level, AMP_LEVELS)
    check_choice("amp_dtype", amp_dtype, AMP_DTYPES)


def check_checkpoint(
    run: object, step: int | None, ema: float | Literal["default"], how: str = ""
) -> None:
    """Raise ValueError where a checkpoint is asked for of what has none: a model of the program.

    ``run``: None where the program chooses one; ``how``: to name another.
    """
    if (run is None or str(run) in PAINTERS) and (step is not None or ema != "default"):
        raise ValueError(f"step and ema are of a run of your own: name it{how}")


def check_average(ema: float | Literal["default"], weights: str) -> None:
    """Raise ValueError unless ``ema`` says which average, and ``weights`` that it is one."""
    if ema == "default":
        return
    check_sigma_rel("ema", ema)
    if weights != "average":
        raise ValueError(f"ema {ema} is the length of an average: leave weights {weights} out")
