"""What a network is told of each item: its class, or another condition; checked first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .classes import numbers_of

if TYPE_CHECKING:
    from ..networks.network import Network


def told(
    model: Network, classes: Any, condition: Any, count: int, names: Sequence[str] = ()
) -> NDArray[Any] | None:
    """Return the condition of ``count`` items, (count, ...), or None for a network without one.

    Args:
        model: who is told.
        classes: for a network with classes one for all, or (count,): numbers, or ``names``.
        condition: for a network that takes another condition, (count, ...).
        names: what the classes are called, where that is known.

    Raises:
        ValueError: none where one is needed, one where none is taken, or one that does not fit.
    """
    num_classes = model.config.num_classes
    if classes is None:
        if condition is None and num_classes is not None:
            raise ValueError(
                f"classes are missing: say which of the {num_classes} each image is of"
            )
        return check_condition(model, condition, count, names)
    if condition is not None:
        raise ValueError("classes and condition are two names of one thing: give one of them")
    if num_classes is None:
        return check_condition(model, classes, count)
    known = numbers_of(classes, num_classes, names)
    if known.shape not in ((), (count,)):
        raise ValueError(f"classes of shape {known.shape} must be one, or ({count},)")
    return np.broadcast_to(known, count)


def check_condition(
    model: Network, condition: Any, count: int, names: Sequence[str] = ()
) -> NDArray[Any] | None:
    """Return a condition as the network is given it: whole numbers as int32, others as float32.

    Raises:
        ValueError: as :func:`told`.
    """
    if condition is None and model.conditional:
        raise ValueError("condition is missing: the network is told what each item is")
    if condition is None:
        return None
    known = np.asarray(condition)
    if not model.conditional:
        raise ValueError(f"condition of shape {known.shape} is for a network that takes one")
    if known.shape[:1] != (count,):
        raise ValueError(f"condition of shape {known.shape} must be ({count}, ...)")
    if model.config.num_classes is not None:
        return numbers_of(known, model.config.num_classes, names, "condition")
    return known.astype(np.int32) if known.dtype.kind in "iu" else known.astype(np.float32)
