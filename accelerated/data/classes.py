"""Which class is meant, and which images are of the classes that are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def numbers_of(
    asked: Any, num_classes: int, names: Sequence[str] = (), argument: str = "classes"
) -> NDArray[np.int32]:
    """Return the numbers of the classes that are asked for: int32, a scalar's is ().

    Args:
        asked: a number from 0 to num_classes - 1 or a name, or any array or list of them. A text
            of digits is a number too, unless there are names that are made of digits.
        num_classes: how many classes there are.
        names: what they are called, if that is known.
        argument: what it is called that is asked for.

    Raises:
        ValueError: one that is no class; the message says which there are.
    """
    given = np.asarray(asked)
    if given.dtype.kind in "OU":
        found = [_number(str(name), num_classes, names, argument) for name in given.ravel()]
        given = np.array(found, np.int64).reshape(given.shape)
    elif given.dtype.kind not in "iu" or not given.size:
        raise ValueError(
            f"{argument} {str(asked)[:60]} must be whole numbers: "
            f"choose from {listed(names, num_classes)}"
        )
    for number in given[(given < 0) | (given >= num_classes)].ravel():
        raise ValueError(_no_class(number, num_classes, names, argument))
    return given.astype(np.int32)


def _number(text: str, num_classes: int, names: Sequence[str], argument: str) -> int:
    if text in names:
        return list(names).index(text)
    numbers_are_names = any(name.isdecimal() for name in names)
    if text.isdecimal() and not numbers_are_names and int(text) < num_classes:
        return int(text)
    raise ValueError(_no_class(repr(text), num_classes, names, argument))


def _no_class(label: object, num_classes: int, names: Sequence[str], argument: str) -> str:
    return f"{argument} {label} is no class: choose from {listed(names, num_classes)}"


def listed(names: Sequence[str], num_classes: int = 0) -> str:
    """The names of classes for a message, the first of very many; their numbers without names."""
    if not names:
        return f"0 to {num_classes - 1}"
    return ", ".join(names[:20]) + ", ..." * (len(names) > 20)


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
            shown = listed(classes)
            raise ValueError(f"only_class {name!r} is no class of data: choose from {shown}")
    wanted = [number for number, name in enumerate(classes) if name in only]
    places = np.flatnonzero(np.isin(labels, wanted))
    return places, tuple(classes[k] for k in wanted), np.searchsorted(wanted, labels[places])
