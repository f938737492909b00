"""Files of old PyTorch are read without running what is in them."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.weights.legacy_torch import MAGIC, read_legacy


class Storage:
    """Stands for one of torch's."""

    def __init__(self, key: str, kind: type, data: NDArray[Any]) -> None:
        self.key, self.kind, self.data = key, kind, data


class Writer(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if isinstance(value, Storage):
            return ("storage", value.kind, value.key, "cpu", len(value.data), None)
        return None


class Made:
    """A tensor, or anything else that is made by calling a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = function, arguments

    def __reduce__(self) -> Any:
        return self.made


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Modules with the names that such files have."""
    root, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        ("_rebuild_tensor_v2"),
    )
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    for name in ("FloatStorage", "LongStorage"):
        setattr(root, name, type(name, (), {"__module__": "torch"}))
    root._utils = utils  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", root)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return root


def written(path: Path, state: Any, storages: list[Storage], magic: int = MAGIC) -> Path:
    file = io.BytesIO()
    for value in (magic, 1001, {"little_endian": True}, state, [s.key for s in storages]):
        Writer(file, protocol=2).dump(value)
    for storage in storages:
        file.write(struct.pack("<q", len(storage.data)) + storage.data.tobytes())
    path.write_bytes(file.getvalue())
    return path


def tensor(torch: Any, storage: Storage, offset: int, shape: Any, stride: Any) -> Made:
    make = torch._utils._rebuild_tensor_v2
    return Made(make, storage, offset, shape, stride, False, OrderedDict())


def test_tensors_are_read_as_they_lie(torch: Any, tmp_path: Path) -> None:
    numbers = Storage("7", torch.FloatStorage, np.arange(24, dtype="<f4"))
    count = Storage("8", torch.LongStorage, np.array([5], "<i8"))
    state = OrderedDict(
        plain=tensor(torch, numbers, 0, (2, 3, 4), (12, 4, 1)),
        turned=tensor(torch, numbers, 2, (4, 3), (1, 4)),
        number=tensor(torch, count, 0, (), ()),
    )
    found = read_legacy(written(tmp_path / "a.pth", state, [numbers, count]))
    whole = np.arange(24, dtype=np.float32)
    np.testing.assert_array_equal(found["plain"], whole.reshape(2, 3, 4))
    np.testing.assert_array_equal(found["turned"], whole[2:14].reshape(3, 4).T)
    assert found["number"] == 5 and found["number"].shape == ()
    assert list(found) == ["plain", "turned", "number"]


def test_nothing_in_a_file_is_run(torch: Any, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    state = {"a": Made(os.mkdir, str(trap))}
    with pytest.raises(ValueError, match=r"it names 'posix mkdir'"):
        read_legacy(written(tmp_path / "a.pth", state, []))
    assert not trap.exists()


def test_what_is_no_such_file_is_refused(torch: Any, tmp_path: Path) -> None:
    numbers = Storage("7", torch.FloatStorage, np.arange(4, dtype="<f4"))
    beyond = {"a": tensor(torch, numbers, 1, (2, 2), (2, 1))}
    negative = {"a": tensor(torch, numbers, 3, (2,), (-1,))}
    good = {"a": tensor(torch, numbers, 0, (2, 2), (2, 1))}
    path = tmp_path / "a.pth"
    with pytest.raises(ValueError, match="is not a file"):
        read_legacy(path)
    path.write_bytes(b"PK\x03\x04 a zip archive")
    with pytest.raises(ValueError, match="no state dict of tensors"):
        read_legacy(path)
    for state, message in ((beyond, "beyond its storage"), (negative, "negative size")):
        with pytest.raises(ValueError, match=message):
            read_legacy(written(path, state, [numbers]))
    with pytest.raises(ValueError, match="does not begin as one"):
        read_legacy(written(path, good, [numbers], magic=1))
    whole = written(path, good, [numbers]).read_bytes()
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="no state dict of tensors"):
            read_legacy(path)
