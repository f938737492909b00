"""MindSpore's file of a compiled graph (MindIR, a protocol buffer), as far as keeping it needs.

A message is a row of fields, each with its number, and those that hold text or other messages with
their length: https://protobuf.dev/programming-guides/encoding. MindSpore's own reader, in Python,
takes seconds for a large graph.
"""

from __future__ import annotations

from collections.abc import Iterator

VERSION = 13
"""The number of the field that MindSpore writes last; without it the end is missing."""

TEXTS = (12, 3, 5)
"""Where the library of an operator is named: primitives, their attributes, the attributes' text."""

LIBRARY = b"<library of compiled operators>"
"""Stands for its path in a graph that is kept: it may lie elsewhere for who takes the graph."""

_VARIABLE, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5


def for_keeping(graph: bytes, library: bytes | None) -> bytes:
    """A graph as it is kept, which names no place.

    Args:
        graph: what MindSpore wrote.
        library: the path of the operators' library, if there is one.

    Raises:
        ValueError: a part of it is missing, or it names the library in another place.
    """
    if max((number for number, *_ in _fields(graph)), default=0) < VERSION:
        raise ValueError("the graph was written in part")
    if library is None:
        return graph
    kept = _replaced(graph, library, LIBRARY, TEXTS)
    if library in kept:
        raise ValueError("the graph names its library where that cannot be replaced")
    return kept


def for_loading(kept: bytes, library: bytes | None) -> bytes:
    """A graph that was kept, with the path of this process's library."""
    return kept if library is None else _replaced(kept, LIBRARY, library, TEXTS)


def _replaced(message: bytes, old: bytes, new: bytes, path: tuple[int, ...]) -> bytes:
    """``message`` with other words in all fields that these numbers lead to."""
    if not path:
        return message.replace(old, new)
    parts = []
    for number, start, content, end in _fields(message):
        if number == path[0] and message.find(old, content, end) >= 0:
            inner = _replaced(message[content:end], old, new, path[1:])
            parts += [_encoded(number << 3 | _SIZED), _encoded(len(inner)), inner]
        else:
            parts.append(message[start:end])
    return b"".join(parts)


def _fields(message: bytes) -> Iterator[tuple[int, int, int, int]]:
    """The number of every field, and where it starts, where its content does, and where it ends.

    Raises:
        ValueError: this is no whole message.
    """
    start = 0
    while start < len(message):
        key, content = _decoded(message, start)
        kind = key & 7
        if kind == _SIZED:
            size, content = _decoded(message, content)
            end = content + size
        elif kind == _VARIABLE:
            _, end = _decoded(message, content)
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            end = content + (8 if kind == _EIGHT_BYTES else 4)
        else:
            raise ValueError(f"the graph has a field of kind {kind}")
        if end > len(message):
            raise ValueError("the graph was written in part")
        yield key >> 3, start, content, end
        start = end


def _decoded(message: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for shift, byte in enumerate(message[at : at + 10]):
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value, at + shift + 1
    raise ValueError("the graph was written in part")


def _encoded(value: int) -> bytes:
    low = []
    while value > 127:
        low.append(value & 127 | 128)
        value >>= 7
    return bytes([*low, value])
