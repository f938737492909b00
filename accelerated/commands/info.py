"""What ``ddpm-mindspore info`` prints: what training and sampling would run on here."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import version
from typing import Any

from ..system import runtime
from ..system.say import answer
from .exit_codes import DONE
from .options import InfoConfig
from .presets import PRESETS

FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")
"""What decides how fast matrix products are, as /proc/cpuinfo names it."""

BFLOAT16 = "train --amp-level O1 --amp-dtype bfloat16"
WHOLE = {
    True: "residual blocks as one operator, images in bfloat16 within",
    False: "operator by operator: this processor's convolutions compute in another layout",
}
PACKAGES = ("ddpm-mindspore", "mindspore", "numpy", "scipy")


def info(config: InfoConfig) -> int:
    """Print the facts; 0.

    Raises:
        ValueError: a device that is unknown, or not here.
    """
    facts = gather(config.device)
    answer(json.dumps(facts, indent=2) if config.json else describe(facts))
    return DONE


def gather(device: str = "auto") -> dict[str, Any]:
    """The facts, as plain values.

    Raises:
        ValueError: a device that is unknown, or not here.
    """
    chosen = runtime.select_device(device)
    from .. import kernels

    return {
        "device": chosen,
        "devices": runtime.devices_here(),
        "operators": kernels.describe(),
        "bfloat16": kernels.why_no_bfloat16() if chosen == "CPU" else "",
        "whole_blocks": kernels.in_lanes("bfloat16"),
        "cpu": _cpu(),
        "memory": _memory(),
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "compile_cache": _compile_cache(),
        "data": list(PRESETS),
    }


def describe(facts: dict[str, Any]) -> str:
    """The facts for people, one a line."""
    cpu, memory, cache = facts["cpu"], facts["memory"], facts["compile_cache"]
    isa = f", oneDNN held to {cpu['onednn_isa']}" if cpu["onednn_isa"] else ""
    kept = f"{cache['bytes'] / 1e6:.1f} MB in {cache['folder']} (graphs: {cache['graphs']})"
    if cache["problem"]:
        kept = f"nothing can be read in {cache['folder']}: {cache['problem']}"
    bfloat16 = BFLOAT16
    if facts["device"] == "CPU":
        bfloat16 += f" ({WHOLE[facts['whole_blocks']]})"
    lines = {
        "device": f"{facts['device']} (found: {', '.join(facts['devices'])})",
        "operators": facts["operators"],
        "bfloat16": f"not here: {facts['bfloat16']}" if facts["bfloat16"] else bfloat16,
        "processor": f"{cpu['model']} ({' '.join(cpu['flags']) or 'no vector extensions'}{isa})",
        "threads": f"{cpu['threads']} of {cpu['processors']} processors",
        "memory": f"{memory['available'] / 1e9:.1f} GB free of {memory['total'] / 1e9:.1f} GB",
        "versions": ", ".join(f"{name} {text}" for name, text in facts["versions"].items()),
        "data": f"{', '.join(facts['data'])} (train --data NAME)",
        "compiled": kept if cache["in_use"] else f"nothing is kept: {cache['reason']}",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {text}" for name, text in lines.items())


def _cpu() -> dict[str, Any]:
    from .. import kernels

    words = runtime.cpu_flags().split()
    model = [line for line in runtime.cpu_flags().splitlines() if line.startswith("model name")]
    return {
        "model": model[0].partition(":")[2].strip() if model else platform.machine(),
        "flags": [flag for flag in FLAGS if flag in words],
        "processors": os.cpu_count() or 1,
        "threads": kernels.threads(),
        "onednn_isa": os.environ.get("ONEDNN_MAX_CPU_ISA"),
    }


def _memory() -> dict[str, int]:
    """Bytes, as Linux counts them."""
    page = os.sysconf("SC_PAGE_SIZE")
    return {
        "total": page * os.sysconf("SC_PHYS_PAGES"),
        "available": page * os.sysconf("SC_AVPHYS_PAGES"),
    }


def _compile_cache() -> dict[str, Any]:
    from ..system.compile_cache import CompileCache

    reason, folder = runtime.compile_cache_reason(), runtime.compile_cache_folder()
    sizes, problem = [], ""
    try:
        sizes = [path.stat().st_size for path in CompileCache(folder).kept()] if folder else []
    except FileNotFoundError:
        pass  # nothing was kept yet
    except OSError as error:
        problem = str(error.strerror)
    return {
        "in_use": not reason,
        "reason": reason,
        "folder": str(folder or ""),
        "problem": problem,
        "graphs": len(sizes),
        "bytes": sum(sizes),
    }
