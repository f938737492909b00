"""Where and of what something was measured."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

VERSIONS = """
import importlib.metadata, json, platform, sys
versions = {name: importlib.metadata.version(name) for name in sys.argv[1:]}
print(json.dumps({"python": platform.python_version(), **versions}))
"""
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile")
BUSY = 0.5


def describe_machine() -> dict[str, Any]:
    """The processor, the memory, and how busy the machine is."""
    cpu = _fields("/proc/cpuinfo")
    flags = set(cpu.get("flags", "").split())
    memory = _fields("/proc/meminfo").get("MemTotal", "0 kB").split()[0]
    return {
        "cpu": cpu.get("model name", platform.processor() or platform.machine()),
        "flags": [flag for flag in FLAGS if flag in flags],
        "cores": os.cpu_count(),
        "memory_gib": round(int(memory) / 2**20, 1),
        "system": platform.platform(),
        "load_average": load(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def load() -> float:
    """Processes that want a core, on average over the last minute."""
    return round(os.getloadavg()[0], 2)


def two_cores() -> list[int]:
    """Keep this process, and all that it starts, on the first two cores that it may use."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, cores)
    return cores


def commit(folder: Path) -> str:
    """What the source is, as git says it; a star for changes that are not committed."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty=*", "--exclude=*"]
    return _said(command) or "unknown"


def versions(python: str, *packages: str) -> dict[str, str]:
    """Versions of a Python and of packages that it has; nothing if it lacks one."""
    said = _said([python, "-c", VERSIONS, *packages])
    found: dict[str, str] = json.loads(said) if said else {}
    return found


def kernels(python: str) -> str:
    """What ``ddpm-mindspore info`` says, without the folders that it is in."""
    said = _said([str(Path(python).with_name("ddpm-mindspore")), "info"])
    return said.replace(f"{Path(python).parents[1]}/", "").replace(str(Path.home()), "~")


def _said(command: list[str]) -> str:
    """What a command prints, or nothing if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _fields(path: str) -> dict[str, str]:
    """The first value of each ``name: value`` line."""
    found: dict[str, str] = {}
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return found
    for name, _, value in (line.partition(":") for line in lines):
        found.setdefault(name.strip(), value.strip())
    return found
