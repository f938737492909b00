"""Several installations of one version on a machine, which share a cache of compiled graphs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated.system import runtime

PACKAGE = Path(kernels.__file__).parents[2]
CLI = "ddpm_mindspore.accelerated.cli"
SMALL = (
    "--dim 8 --dim-mults 1 --attn-heads 1 --attn-dim-head 8 --timesteps 9 --sampling-timesteps 2 "
    "--batch-size 4 --num-samples 1 --steps 2"
)

pytestmark = pytest.mark.skipif(not kernels.in_use(), reason="no compiled operators")


def installed(folder: Path) -> Path:
    """Another installation, in a folder that stands before all others on Python's path."""
    for part in ("accelerated", "reference"):
        shutil.copytree(
            PACKAGE / part,
            folder / "ddpm_mindspore" / part,
            ignore=shutil.ignore_patterns("__pycache__", "*.cpp", "_cpu.cpython*"),
        )
    return folder


def run(site: Path, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(site), runtime.CACHE: str(cache)}
    return subprocess.run(
        [sys.executable, *arguments], env=env, cwd=site, capture_output=True, text=True
    )


def trained(site: Path, cache: Path) -> tuple[bytes, bytes]:
    """The parameters after two steps of an installation's training, and its first picture."""
    results = site / "results"
    shutil.rmtree(results, ignore_errors=True)
    command = ("-m", CLI, "train", "--results-folder", str(results), *SMALL.split())
    done = run(site, cache, *command)
    assert done.returncode == 0, done.stderr
    assert "[ERROR]" not in done.stderr
    (model,) = results.glob("checkpoints/*/model.safetensors")
    return model.read_bytes(), next(results.glob("samples/*.png")).read_bytes()


@pytest.mark.slow
def test_another_installation_takes_the_graphs_of_the_first_and_computes_the_same(
    tmp_path: Path,
) -> None:
    cache = tmp_path / "graphs"
    first, second = installed(tmp_path / "first"), installed(tmp_path / "second")
    expected = trained(first, cache)
    kept = {path.name: path.read_bytes() for path in cache.iterdir()}
    assert len(kept) == 2
    assert not any(os.fsencode(first) in graph for graph in kept.values())
    assert trained(second, cache) == expected
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == kept
    where = json.loads(run(second, cache, "-m", CLI, "info", "--json").stdout)["operators"]
    assert str(second) in where

    shutil.rmtree(first)
    assert trained(second, cache) == expected
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == kept


# A graph that calls another installation's operator, and one's own before and after.
CALLS_ANOTHER = """
import sys
import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated.system import runtime
runtime.select_device("CPU")
x, y = Tensor(np.eye(3, dtype=np.float32)), Tensor(np.ones((3, 3), np.float32))
own = kernels.CompiledSoftmax().gradient
other = ops.Custom(sys.argv[1] + ":softmax_gradient", lambda x, y: x, lambda x, y: x, "aot")

@ms.jit
def calls_another(x, y):
    return other(x, y) + 1.0

print(own(x, y).asnumpy().sum())
try:
    calls_another(x, y).asnumpy()
except RuntimeError as error:
    print(str(error).splitlines()[0])
print(own(x, y).asnumpy().sum())
"""


@pytest.mark.slow
def test_an_operator_of_another_installation_is_an_error_and_no_crash(tmp_path: Path) -> None:
    (library,) = installed(tmp_path / "other").rglob("_cpu.abi3.so")
    program = tmp_path / "program.py"
    program.write_text(CALLS_ANOTHER)
    done = run(PACKAGE.parent, tmp_path / "graphs", str(program), str(library))
    assert done.returncode == 0, done.stderr
    before, error, after = done.stdout.splitlines()
    assert before == after
    assert f"{library}" in error and "softmax_gradient" in error
    said = f"ddpm-mindspore: operator softmax_gradient of {library} failed: this process has not"
    assert said in done.stderr
