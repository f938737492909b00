"""The compiled operators on processors that are not here: emulated, without Python and MindSpore.

There is no oneDNN for these either, so convolutions are left out.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated.system import runtime

HERE = Path(__file__).parent / "kernels_alone"
SOURCES = Path(__file__).parents[2] / "accelerated" / "kernels"
STRICT = ("-std=c++17", "-O3", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")

pytestmark = pytest.mark.slow


def compiled(compiler: str, result: Path, *arguments: str | Path) -> Path:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    subprocess.run([compiler, "-o", result, *arguments, "-ldl", "-pthread"], check=True)
    return result


def run(emulator: list[str], compiler: str, library: Path, folder: Path) -> None:
    if shutil.which(emulator[0]) is None:
        pytest.skip(f"there is no {emulator[0]}")
    shared = ("-std=c++17", "-O1", "-shared", "-fPIC", f"-I{SOURCES}")
    onednn = compiled(compiler, folder / "none.so", *shared, HERE / "no_onednn.cpp")
    program = compiled(compiler, folder / "main", "-std=c++17", "-O1", HERE / "main.cpp")
    done = subprocess.run([*emulator, program, library, onednn], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (
        0,
        "normalize_silu is right\nstandardize is right\nsoftmax_gradient is right\n",
    ), done.stderr


@pytest.mark.skipif(
    not kernels.in_use() or platform.machine() != "x86_64", reason="no library for x86-64"
)
@pytest.mark.parametrize("processor", ["qemu64", "Haswell"])  # with SSE3, and with AVX2
def test_one_library_is_for_every_x86_processor(processor: str, tmp_path: Path) -> None:
    library = runtime.kernel_library()
    assert library is not None
    run(["qemu-x86_64", "-cpu", processor], "g++", library, tmp_path)


def test_the_sources_are_for_arm_too(tmp_path: Path) -> None:
    compiler = "aarch64-linux-gnu-g++"
    sources = sorted(SOURCES.glob("*.cpp"))
    library = compiled(compiler, tmp_path / "_cpu.so", *STRICT, "-shared", "-fPIC", *sources)
    run(["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"], compiler, library, tmp_path)
