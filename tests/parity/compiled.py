"""The library of compiled operators, made of sources that a bug stands in."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from .bug import Bug, changed, place_of

ROOT = Path(__file__).parents[2]
COMPILER = os.environ.get("CXX", "g++")
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-fvisibility=hidden", "-w")


def is_compiled(bug: Bug) -> bool:
    """Whether it stands in C++."""
    return bug.where.startswith("kernels/")


def has_compiler() -> bool:
    """Whether a library can be built here."""
    return shutil.which(COMPILER) is not None


def build_with(bug: Bug, library: Path) -> None:
    """Make the library with the bug in it, of the sources of this checkout."""
    file, _ = place_of(bug.where, ROOT)
    sources = [path for path in file.parent.iterdir() if path.suffix in (".cpp", ".h")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(sources)}
    texts[file.name] = changed(texts[file.name], bug)
    _build(texts, library)


def _build(texts: dict[str, str], library: Path) -> None:
    """Link what the texts become: objects are found again by what they were made of."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / name).write_text(text)
        units = [name for name in texts if name.endswith(".cpp")]
        objects = [_object(Path(folder), name, texts) for name in units]
        link = ["-shared", "-o", str(library), *map(str, objects), "-ldl", "-lpthread"]
        _compiler(*FLAGS, *link)


def _object(folder: Path, unit: str, texts: dict[str, str]) -> Path:
    digest = hashlib.sha256(repr((FLAGS, _needed(unit, texts))).encode()).hexdigest()
    kept = Path(tempfile.gettempdir()) / f"ddpm-mindspore-objects-{os.getuid()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    found = kept / f"{digest[:24]}.o"
    if not found.exists():
        made = folder / f"{unit}.o"
        _compiler(*FLAGS, "-c", str(folder / unit), "-o", str(made))
        made.replace(found)
    return found


def _needed(unit: str, texts: dict[str, str]) -> list[tuple[str, str]]:
    """The unit and all that it includes."""
    known, waiting = {unit}, [unit]
    while waiting:
        for name in re.findall(r'#include "(\w+\.h)"', texts[waiting.pop()]):
            if name not in known:
                known.add(name)
                waiting.append(name)
    return [(name, texts[name]) for name in sorted(known)]


def _compiler(*arguments: str) -> None:
    done = subprocess.run([COMPILER, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
