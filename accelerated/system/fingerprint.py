"""What a function that is to be compiled depends on, as bytes that are the same in every process.

A compiled graph is a function of the code, and of everything that the code reaches through closures
and attributes: configuration, tables, the names and shapes of parameters. All of that is walked
through, so that nothing has to be remembered when an option is added. What cannot be told apart
without an address in memory makes fingerprints that never repeat: slow, and not wrong.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import CodeType, FunctionType, MethodType
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from . import runtime

PLAIN = (type(None), bool, int, float, complex, str, bytes, np.dtype, np.generic)
PACKAGES = ("mindspore", "numpy")


def fingerprint(function: Callable[..., Any], arguments: tuple[Any, ...]) -> str:
    """Hexadecimal digest of a function, of its arguments' shapes, and of what compiles it."""
    digest = hashlib.sha256(_program())
    for part in (*runtime.mindspore_settings(), *_Walk().parts(function), *shapes(arguments)):
        digest.update(f"{len(part)} {part}\n".encode())
    return digest.hexdigest()


def parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """Every parameter that a function reaches, by its name.

    Raises:
        RuntimeError: two have the same name.
    """
    walk = _Walk()
    for _ in walk.parts(function):
        pass
    named = {parameter.name: parameter for parameter in walk.parameters}
    if len(named) < len(walk.parameters):
        raise RuntimeError("two parameters of one graph have the same name")
    return named


@lru_cache
def _program() -> bytes:
    """Digest of this package's source and compiled operators, and of what they run on.

    Places are no part of it: the same program in two folders makes the same graphs.
    """
    digest = hashlib.sha256(f"{platform.python_version()} {platform.machine()}\n".encode())
    for name in PACKAGES:
        for line in _installed(name):
            digest.update(f"{name} {line}\n".encode())
    top = Path(__file__).parents[2]
    paths = [path for part in ("accelerated", "reference") for path in (top / part).rglob("*.py")]
    if library := runtime.kernel_library():
        paths.append(library)
    for path in sorted(paths):
        digest.update(f"{path.relative_to(top)}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.digest()


def _installed(name: str) -> Iterator[str]:
    """What tells one build of a package from another.

    Its version, its files' digests as the installer has recorded them, and what was changed since:
    a MindSpore that was built anew has the same version.
    """
    try:
        package = distribution(name)
    except PackageNotFoundError:  # built in its own source tree
        return
    yield package.version
    record = package.read_text("RECORD") or ""
    lines = sorted(line for line in record.splitlines() if line.startswith(f"{name}/"))
    yield from (line for line in lines if ".pyc" not in line)
    with suppress(OSError):
        info = f"{name}-{package.version}.dist-info/RECORD"
        installed = Path(str(package.locate_file(info))).stat().st_mtime_ns
        for line in lines:
            if ".so" in line:
                path = Path(str(package.locate_file(line.split(",")[0])))
                if (now := path.stat()).st_mtime_ns > installed:
                    yield f"{path.name} {now.st_size} {now.st_mtime_ns}"


def shapes(arguments: tuple[Any, ...]) -> Iterator[str]:
    """What a graph is compiled for: shapes and types of tensors, and the values of the rest."""
    for argument in arguments:
        if isinstance(argument, (tuple, list)):
            yield f"{len(argument)} of"
            yield from shapes(tuple(argument))
        elif isinstance(argument, Tensor):
            yield f"{argument.shape} {argument.dtype}"
        else:
            yield repr(argument)


@lru_cache
def _of_every_cell() -> frozenset[str]:
    """Attributes that MindSpore gives to every Cell, among them numbers of the moment."""
    return frozenset(vars(nn.Cell()))


class _Walk:
    """One walk through everything that can be reached."""

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []
        self._seen: dict[int, tuple[int, Any]] = {}  # holds what it saw: ids are used again

    def parts(self, thing: Any) -> Iterator[str]:
        if isinstance(thing, PLAIN):
            yield repr(thing)
        elif id(thing) in self._seen:
            yield f"number {self._seen[id(thing)][0]}"
        else:
            self._seen[id(thing)] = len(self._seen), thing
            yield type(thing).__qualname__
            yield from self._inside(thing)

    def _inside(self, thing: Any) -> Iterator[str]:
        if isinstance(thing, Parameter):
            self.parameters.append(thing)
            yield f"{thing.name} {thing.shape} {thing.dtype} {thing.requires_grad}"
        elif isinstance(thing, (Tensor, np.ndarray)):
            array = thing.asnumpy() if isinstance(thing, Tensor) else thing
            digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            yield f"{array.shape} {array.dtype} {digest}"
        elif isinstance(thing, (tuple, list)):
            yield from self._all(thing)
        elif isinstance(thing, (set, frozenset)):  # texts stand in another order in every process
            yield from sorted(map(repr, thing))
        elif isinstance(thing, Mapping):
            for key, value in thing.items():
                yield from self._all((key, value))
        elif isinstance(thing, CodeType):
            yield thing.co_code.hex()
            yield from self._all((thing.co_names, thing.co_consts))
        elif isinstance(thing, FunctionType):
            cells = thing.__closure__ or ()
            yield f"{thing.__module__}.{thing.__qualname__}"
            yield from self._all((thing.__code__, thing.__defaults__, thing.__kwdefaults__))
            yield from self._all(cell.cell_contents for cell in cells)
        elif isinstance(thing, (MethodType, partial)):
            yield from self._all(_called(thing))
        elif isinstance(thing, ops.Custom):
            # Without the path of its library, whose content is part of the program.
            name = thing.func.rpartition(":")[2] if isinstance(thing.func, str) else thing.func
            yield from self._all((name, thing.out_shape, thing.out_dtype))
        elif isinstance(thing, ops.Primitive):
            yield f"{thing.name} {sorted(thing.init_attrs.items())!r}"
        else:
            yield from self._object(thing)

    def _all(self, things: Any) -> Iterator[str]:
        for thing in things:
            yield from self.parts(thing)
        yield "end"

    def _object(self, thing: Any) -> Iterator[str]:
        """Anything else: its attributes, or what it says of itself."""
        attributes = getattr(thing, "__dict__", None)
        if isinstance(thing, type) or attributes is None:
            yield repr(thing)
            return
        left_out: frozenset[str] = frozenset()
        if isinstance(thing, nn.Cell):
            left_out = _of_every_cell()
            yield from self._all(thing._params.values())
            yield from self._all(thing._cells.items())
        for name in sorted(attributes.keys() - left_out):
            yield name
            yield from self.parts(attributes[name])


def _called(thing: MethodType | partial[Any]) -> tuple[Any, ...]:
    if isinstance(thing, partial):
        return thing.func, thing.args, thing.keywords
    return thing.__func__, thing.__self__
