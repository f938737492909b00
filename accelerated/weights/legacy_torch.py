"""Read a state dict that PyTorch wrote before version 1.6, without PyTorch and without a pickle.

Such a file is five pickles and then the numbers of each storage:

    magic number, protocol, system, the state dict, keys of storages, (count int64, data) of each

A pickle is a program. This one is looked at, operation by operation, and none of it is ever run:
what names anything but a dict and tensors is refused.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {
    "torch FloatStorage": "<f4",
    "torch DoubleStorage": "<f8",
    "torch HalfStorage": "<f2",
    "torch LongStorage": "<i8",
    "torch IntStorage": "<i4",
}
DICT, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"

_MARK = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG", "BINUNICODE", "SHORT_BINUNICODE"),
    *("UNICODE", "BINFLOAT", "FLOAT"),
}


class _Name(NamedTuple):
    """What a pickle asks to import."""

    name: str


class _Storage(NamedTuple):
    dtype: str
    key: str
    numbers: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def read_legacy(path: Path) -> dict[str, NDArray[Any]]:
    """The tensors of a file by name.

    Raises:
        ValueError: no such file, another format, or one that holds anything but tensors.
    """
    if not path.is_file():
        raise ValueError(f"weights {str(path)!r} is not a file")
    try:
        with path.open("rb") as file:
            if _value(file) != MAGIC:
                raise ValueError("it does not begin as one")
            _value(file), _value(file)
            state, keys = _value(file), _value(file)
            storages = _storages(file, state, keys)
            return {name: _array(tensor, storages) for name, tensor in state.items()}
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise ValueError(
            f"weights {str(path)!r} are no state dict of tensors as PyTorch before 1.6 wrote it, "
            f"or damaged ({error}): save them as safetensors"
        ) from None


def _value(file: BinaryIO) -> Any:
    """What the next pickle of a file stands for."""
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for operation, argument, _ in pickletools.genops(file):
        name = operation.name
        if name == "STOP":
            return stack.pop()
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            if argument not in (DICT, TENSOR, *DTYPES):
                raise ValueError(f"it names {argument!r}")
            stack.append(_Name(str(argument)))
        elif name in _OPERATIONS:
            _OPERATIONS[name](stack)
        elif name != "PROTO":
            raise ValueError(f"it has the operation {name}")
    raise ValueError("it ends too soon")


def _marked(stack: list[Any]) -> list[Any]:
    """Take what stands above the last mark, and the mark."""
    place = max(i for i, x in enumerate(stack) if x is _MARK)
    above = stack[place + 1 :]
    del stack[place:]
    return above


def _tuple(stack: list[Any], count: int | None = None) -> None:
    if count is None:
        items = _marked(stack)
    else:
        items = stack[len(stack) - count :]
        del stack[len(stack) - count :]
    stack.append(tuple(items))


def _set_items(stack: list[Any], pairs: list[Any]) -> None:
    stack[-1].update(zip(pairs[::2], pairs[1::2], strict=True))


def _set_item(stack: list[Any]) -> None:
    value, key = stack.pop(), stack.pop()
    _set_items(stack, [key, value])


def _append_all(stack: list[Any]) -> None:
    items = _marked(stack)
    stack[-1].extend(items)


def _call(stack: list[Any]) -> None:
    """What a call would give, of the two that are known."""
    arguments, function = stack.pop(), stack.pop()
    if function == _Name(DICT) and arguments == ():
        stack.append({})
    elif function == _Name(TENSOR):
        storage, offset, shape, stride, *_ = arguments
        stack.append(_Tensor(storage, int(offset), tuple(shape), tuple(stride)))
    else:
        raise ValueError(f"it calls {function!r}")


def _storage(stack: list[Any]) -> None:
    kind, dtype, key, _, count, view = stack.pop()
    if kind != "storage" or view is not None:
        raise ValueError("it has a storage of another kind")
    stack.append(_Storage(DTYPES[dtype.name], str(key), int(count)))


_OPERATIONS: dict[str, Callable[[list[Any]], Any]] = {
    "MARK": lambda stack: stack.append(_MARK),
    "EMPTY_DICT": lambda stack: stack.append({}),
    "EMPTY_LIST": lambda stack: stack.append([]),
    "EMPTY_TUPLE": lambda stack: stack.append(()),
    "TUPLE": _tuple,
    "TUPLE1": lambda stack: _tuple(stack, 1),
    "TUPLE2": lambda stack: _tuple(stack, 2),
    "TUPLE3": lambda stack: _tuple(stack, 3),
    "SETITEM": _set_item,
    "SETITEMS": lambda stack: _set_items(stack, _marked(stack)),
    "APPEND": lambda stack: stack[-2].append(stack.pop()),
    "APPENDS": _append_all,
    "REDUCE": _call,
    "BUILD": lambda stack: stack.pop(),  # attributes of the dict: versions of modules
    "BINPERSID": _storage,
}


def _storages(file: BinaryIO, state: Any, keys: Any) -> dict[str, NDArray[Any]]:
    dtypes = {tensor.storage.key: tensor.storage for tensor in state.values()}
    found = {}
    for key in keys:
        dtype = np.dtype(dtypes[key].dtype)
        (count,) = struct.unpack("<q", file.read(8))
        if count != dtypes[key].numbers:
            raise ValueError(f"storage {key} has {count} numbers, not {dtypes[key].numbers}")
        data = file.read(count * dtype.itemsize)
        found[key] = np.frombuffer(data, dtype)
        if len(found[key]) != count:
            raise ValueError("it ends too soon")
    return found


def _array(tensor: _Tensor, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
    storage, steps = (
        storages[tensor.storage.key],
        list(zip(tensor.shape, tensor.stride, strict=True)),
    )
    if min((tensor.offset, *(min(pair) for pair in steps))) < 0:
        raise ValueError("it has a tensor with a negative size")
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, storage.dtype)
    if tensor.offset + sum((side - 1) * stride for side, stride in steps) >= len(storage):
        raise ValueError("it has a tensor beyond its storage")
    strides = [stride * storage.itemsize for stride in tensor.stride]
    seen = np.lib.stride_tricks.as_strided(
        storage[tensor.offset :], tensor.shape, strides, writeable=False
    )
    return np.ascontiguousarray(seen).reshape(tensor.shape)
