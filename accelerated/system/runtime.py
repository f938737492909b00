"""The one place that touches the process's global state: environment, logging, device.

(But for who answers Ctrl-C: see ``interrupts``.)

The package imports it before anything else, because MindSpore's convolution library reads the
environment once. It does not import MindSpore itself: that takes two seconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEVICES = ("auto", "Ascend", "GPU", "CPU")

KERNELS = "DDPM_MINDSPORE_KERNELS"
"""Set to "stock", this variable keeps to MindSpore's own operators; see ``kernels``."""

CACHE = "DDPM_MINDSPORE_CACHE"
"""Names the folder for compiled graphs; set to "off", they are not kept; see ``compile_cache``."""

_cache_allowed = False


def prepare_environment() -> None:
    """Set what MindSpore reads when it is imported, unless the user has set it."""
    # Warnings that a user can do nothing about stay quiet; errors are shown.
    os.environ.setdefault("GLOG_v", "3")
    # Where a compilation ends early, by Ctrl-C say, MindSpore leaves its state in a file: not in
    # the user's folder.
    temporary = os.environ.get("TMPDIR") or "/tmp"
    os.environ.setdefault("MS_OM_PATH", f"{temporary}/ddpm-mindspore-{os.getuid()}")
    # On a CPU with AVX-512 a stock 3x3 convolution would fall back to oneDNN's plain reference
    # loop, about a hundred times slower than its AVX2 kernel.
    compiled = kernels_wanted() and kernel_library() is not None
    if "avx512" in cpu_flags() and not compiled:
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")


def kernels_wanted() -> bool:
    """Whether the compiled operators are to be used where they can be."""
    return os.environ.get(KERNELS, "auto") != "stock"


def usable_cores() -> int:
    """Cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def kernel_library() -> Path | None:
    """The library of compiled operators, if it was built with the package."""
    path = Path(__file__).parents[1] / "kernels" / "_cpu.abi3.so"
    return path if path.exists() else None


def cpu_flags() -> str:
    """What Linux says of the processors."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


@contextmanager
def eager() -> Iterator[None]:
    """Within it, functions that are marked with ``mindspore.jit`` run one operator at a time."""
    with _environment(MS_JIT="0"):
        yield


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def compile_cache_allowed() -> Iterator[None]:
    """Within it, compiled graphs are kept on disk, if nothing speaks against it."""
    global _cache_allowed
    before, _cache_allowed = _cache_allowed, True
    try:
        yield
    finally:
        _cache_allowed = before


def compile_cache() -> Path | None:
    """The folder where compiled graphs are kept, if they are."""
    return compile_cache_folder() if _cache_allowed and not compile_cache_reason() else None


def compile_cache_folder() -> Path | None:
    """The user's folder for compiled graphs; None for a user without a home folder."""
    named = os.environ.get(CACHE)
    if named and named != "off":
        return Path(os.path.expanduser(named))  # noqa: PTH111  (Path's fails on ~unknown)
    try:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return None
    return Path(home) / "ddpm-mindspore" / "graphs"


def compile_cache_reason() -> str:
    """Why compiled graphs are not to be kept, or nothing."""
    import mindspore as ms

    if os.environ.get(CACHE) == "off":
        return f"{CACHE}=off"
    if compile_cache_folder() is None:
        return f"the user has no home folder (name another one: {CACHE})"
    if os.environ.get("MS_COMPILER_CACHE_ENABLE"):
        return "MindSpore's own cache is turned on (MS_COMPILER_CACHE_ENABLE)"
    if process_count() > 1:
        return "there are several processes"
    if ms.get_context("device_target") != "CPU":
        return f"the device is {ms.get_context('device_target')}"
    return ""


def mindspore_settings() -> Iterator[str]:
    """All that MindSpore was told about compiling and running, by calls and by the environment."""
    from mindspore import context
    from mindspore._c_expression import ms_ctx_param

    settings = context._context()
    for name, number in ms_ctx_param.__members__.items():
        yield f"{name}={settings.get_param(number)!r}"
    yield from (f"{name}={os.environ[name]}" for name in sorted(os.environ) if name[:3] == "MS_")


@contextmanager
def graphs_exchanged_with(folder: Path) -> Iterator[None]:
    """Within it, MindSpore loads the graphs that it needs from a folder, or puts them there.

    MindSpore looks at the folder of the first call for the whole life of the process.
    """
    from mindspore.graph import api

    # MindSpore would see whether the program's main file and all that it imports have changed: what
    # is in the folder is right already, and a main file is not always there to be read.
    before, api.entry_script_path = api.entry_script_path, None
    try:
        with _environment(MS_COMPILER_CACHE_ENABLE="1", MS_COMPILER_CACHE_PATH=str(folder)):
            yield
    finally:
        api.entry_script_path = before


def select_device(name: str = "auto") -> str:
    """Choose the device that everything after runs on.

    Args:
        name: "Ascend", "GPU", "CPU", or "auto": an Ascend card if there is one, else the CPU.

    Returns:
        The device chosen.

    Raises:
        ValueError: an unknown name, or a device that this machine or this MindSpore lacks.
    """
    if name not in DEVICES:
        raise ValueError(f"device {name!r} is unknown: choose {', '.join(DEVICES)}")
    import mindspore as ms

    if name == "auto":
        name = "Ascend" if _has_ascend() else "CPU"
    current = ms.get_context("device_target")
    try:
        ms.set_device(name)
    except RuntimeError as error:
        # To choose what has been at work already, without having been chosen, is harmless.
        if current != name or "has been initialized" not in str(error):
            raise ValueError(
                f"device {name!r} is not available here: use --device CPU, or install the driver "
                f"and the MindSpore build for it ({str(error).splitlines()[0]})"
            ) from error
    if name == "Ascend":
        # Float32 convolutions mean float32: the default there rounds them to 11 bits (HF32).
        ms.device_context.ascend.op_precision.conv_allow_hf32(False)
    return name


def process_count() -> int:
    """How many processes ``msrun`` has started, of which this is one; 1 without it."""
    return int(os.environ.get("MS_WORKER_NUM", "1"))


def join_job() -> tuple[int, int]:
    """Meet the processes that ``msrun`` has started: this one's number, and how many there are.

    Each of them has to choose its device before. In the process that only introduces them to each
    other, it does not return: that process ends with the job. Joining twice is harmless.

    Raises:
        ValueError: ``msrun`` did not start this process, or the others do not come.
    """
    if "MS_WORKER_NUM" not in os.environ:
        raise ValueError(
            "distributed training is started by msrun, one process for each device: msrun "
            "--worker_num=2 --local_worker_num=2 --join=True python -m "
            "ddpm_mindspore.accelerated.cli train --distributed"
        )
    # A process that waits for another one, which saves or draws, is not to give it up: without
    # this the CPU's exchange fails after 30 s.
    os.environ.setdefault("MS_CPU_COMM_OP_TIMEOUT", "300")
    from mindspore import communication

    try:
        if not communication.GlobalComm.INITED:
            communication.init()
    except RuntimeError as error:
        said = next(iter(str(error).splitlines()), "")
        if os.environ.get("MS_ROLE") == "MS_SCHED":  # the process that introduces the others
            raise ValueError(
                f"a process of the job has died, and the job with it: see its log, then go on from "
                f"the newest checkpoint (--resume) ({said})"
            ) from error
        raise ValueError(
            f"the processes of the job did not find each other: see that all of them run, and that "
            f"the master's address and port are right ({said})"
        ) from error
    return communication.get_rank(), communication.get_group_size()


def devices_here() -> list[str]:
    """The devices that this machine has and this MindSpore can use."""
    return ["Ascend", "CPU"] if _has_ascend() else ["CPU"]


def _has_ascend() -> bool:
    from mindspore.device_context.ascend import device

    try:
        return bool(device.is_available() and device.device_count() > 0)
    except RuntimeError:
        return False
