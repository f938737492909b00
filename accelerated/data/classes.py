"""Which images are of the classes that are wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def select(
    classes: Sequence[str], labels: NDArray[np.int64] | None, only: Sequence[str]
) -> tuple[NDArray[np.int64], tuple[str, ...], NDArray[np.int64]]:
    """Return where the images of some classes are, these classes, and the labels in them.

    Args:
        classes: names of all classes.
        labels: (N,) the class of each image; None: there are none.
        only: names of the wanted classes.

    Returns:
        places int64 (n,), the wanted classes in the order of ``classes``, and labels int64 (n,).

    Raises:
        ValueError: no classes, or a name that is none of them.
    """
    if labels is None:
        raise ValueError(
            f"only_class {' '.join(only)} needs images in one sub-folder for each class, or the "
            "digits: leave it out"
        )
    for name in only:
        if name not in classes:
            shown = ", ".join(classes[:20]) + ", ..." * (len(classes) > 20)
            raise ValueError(f"only_class {name!r} is no class of data: choose from {shown}")
    wanted = [number for number, name in enumerate(classes) if name in only]
    places = np.flatnonzero(np.isin(labels, wanted))
    return places, tuple(classes[k] for k in wanted), np.searchsorted(wanted, labels[places])
