"""Options as plain Python values, of the types that they are annotated with.

People give NumPy's numbers, lists and ``pathlib.Path`` where a number, a tuple or a text is asked
for. What a configuration holds is written to JSON, printed and compared, so that it is made plain
once, here; what is of another kind is refused by its name.
"""

from __future__ import annotations

import math
import operator
import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from numbers import Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin, get_type_hints

_PATH = "a path"
_UNBOUNDED = "may be infinite"

PathText: TypeAlias = Annotated[str, _PATH]
"""A text that names a file or a folder: ~ is expanded, and it is not empty."""

Unbounded: TypeAlias = Annotated[float, _UNBOUNDED]
"""A number that may be infinite, which JSON has to hold as the text "inf"."""

_LARGEST = 2**64  # whole numbers are below it: a seed is a word of 64 bits


class _UnfitError(Exception):
    """A value is not of the wanted kind; the message is what else to say of that kind."""


def check_choice(argument: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError, naming the argument and the choices, unless ``value`` is one of them."""
    if value not in choices:
        listed = ", ".join(choices[:-1]) + f" or {choices[-1]}"
        raise ValueError(f"{argument} {value!r} is unknown: choose {listed}")


def check_encoding(name: str) -> None:
    """Raise ValueError unless a text can be in that encoding."""
    try:
        b"a".decode(name)
    except UnicodeDecodeError:
        pass  # as UTF-16, which has two bytes for it
    except (LookupError, ValueError):
        raise ValueError(
            f"caption_encoding {name!r} is no encoding that Python knows: give utf-8, gbk, "
            "gb18030, big5 or another one"
        ) from None


def make_plain(config: Any) -> None:
    """Make the fields of a frozen dataclass what they are annotated with: for __post_init__.

    Raises:
        ValueError: a field that is of another kind, by its name and value.
    """
    of: Any = type(config)
    for name, kind in _kinds(of).items():
        object.__setattr__(config, name, as_plain(name, getattr(config, name), kind))


def as_plain(name: str, value: Any, kind: Any) -> Any:
    """Return ``value`` as the type ``kind``.

    Taken are: for an int also a float that is whole; for a float every real number but NaN (and
    infinity, unless it is :data:`Unbounded`); for a bool also 0 and 1; for a text or a path what
    ``os.fspath`` takes; for a tuple also a list, a range and an array; and NumPy's scalars and
    arrays of no dimension for what they hold. A bool is no number, and a text is no tuple.

    Raises:
        ValueError: another kind; the message has the name, the value and what is wanted.
    """
    value = _bare(value)
    try:
        return _convert(value, kind)
    except _UnfitError as unfit:
        wanted = str(unfit) or _described(kind)
        raise ValueError(f"{name} {value!r} must be {wanted}") from None


@lru_cache
def _kinds(config: Any) -> dict[str, Any]:
    hints = get_type_hints(config, include_extras=True)
    return {field.name: hints[field.name] for field in fields(config)}


def _bare(value: Any) -> Any:
    """What a NumPy scalar or an array holds (known by its methods: NumPy takes long to import)."""
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    if hasattr(value, "shape") and hasattr(value, "tolist"):
        return value.tolist()
    return value


def _convert(value: Any, kind: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        if _PATH in parts:
            return _path(value)
        return _float(value, finite=False) if _UNBOUNDED in parts else _convert(value, parts[0])
    if origin in (Union, UnionType):
        return _first(value, parts)
    if origin is Literal:
        return _check(value, value in parts)
    if origin is tuple:
        return _tuple(value, parts)
    if is_dataclass(kind):
        return _check(value, isinstance(value, kind))  # type: ignore[arg-type]
    return _SIMPLE[kind](value)


def _check(value: Any, fits: bool) -> Any:
    if not fits:
        raise _UnfitError
    return value


def _first(value: Any, kinds: tuple[Any, ...]) -> Any:
    said = ""
    for kind in kinds:
        try:
            return _convert(value, kind)
        except _UnfitError as unfit:
            said = said or str(unfit)
    raise _UnfitError(said)


def _tuple(value: Any, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    value = _check(value, isinstance(value, (list, tuple, range)))
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(value)
    _check(value, len(value) == len(kinds))
    return tuple(_convert(_bare(part), kind) for part, kind in zip(value, kinds, strict=True))


def _int(value: Any) -> int:
    _check(value, not isinstance(value, bool))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    try:
        number = operator.index(value)
    except TypeError:
        raise _UnfitError from None
    if abs(number) >= _LARGEST:
        raise _UnfitError("a whole number below 2 ** 64")
    return number


def _float(value: Any, *, finite: bool = True) -> float:
    if value == "inf" and not finite:  # as JSON gives it back
        return math.inf
    _check(value, isinstance(value, Real) and not isinstance(value, bool))
    try:
        number = float(value)
    except OverflowError:
        raise _UnfitError from None
    _check(number, math.isfinite(number) or (not finite and not math.isnan(number)))
    return number


def _bool(value: Any) -> bool:
    return bool(_check(value, isinstance(value, int) and value in (0, 1)))


def _text(value: Any) -> str:
    value = os.fspath(value) if isinstance(value, os.PathLike) else value
    return str(_check(value, isinstance(value, str)))


def _path(value: Any) -> str:
    text = _text(value)
    _check(text, text != "")
    # Not Path.expanduser, which fails where a user's name is unknown.
    return os.path.expanduser(text)  # noqa: PTH111


def _none(value: Any) -> None:
    _check(value, value is None)


_SIMPLE: dict[Any, Callable[[Any], Any]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _text,
    Path: lambda value: Path(_path(value)),
    NoneType: _none,
}

_NAMES = {
    bool: "True or False",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    Path: "the path of a file or folder",
    NoneType: "None",
}
_SEVERAL = {int: "whole numbers", float: "finite numbers", bool: "True or False", str: "texts"}


def _described(kind: Any) -> str:
    """Say what is wanted."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        special = {_PATH: _NAMES[Path], _UNBOUNDED: "a number"}
        return next((special[p] for p in parts[1:] if p in special), _described(parts[0]))
    if origin in (Union, UnionType):
        return " or ".join(map(_described, parts))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is tuple:
        count = "a tuple of" if parts[-1] is Ellipsis else f"{len(parts)}"
        return f"{count} {_SEVERAL[parts[0]]}"
    return _NAMES.get(kind) or f"a {kind.__name__}"
