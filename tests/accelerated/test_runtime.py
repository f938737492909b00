"""The process's global state: what is set before MindSpore is loaded, and the device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ddpm_mindspore.accelerated.system import runtime


@pytest.mark.parametrize(
    ("flags", "library", "expected"),
    [
        ("fma avx512f avx2", None, "AVX2"),
        ("fma avx2", None, None),
        ("fma avx512f avx2", Path("_cpu.so"), None),
    ],
)
def test_stock_convolutions_on_a_cpu_with_avx512_are_held_to_avx2(
    monkeypatch: pytest.MonkeyPatch, flags: str, library: Path | None, expected: str | None
) -> None:
    monkeypatch.delenv(runtime.KERNELS, raising=False)
    monkeypatch.setattr(runtime, "kernel_library", lambda: library)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    monkeypatch.delenv("GLOG_v", raising=False)
    monkeypatch.setattr(runtime, "cpu_flags", lambda: flags)
    runtime.prepare_environment()
    assert runtime.os.environ.get("ONEDNN_MAX_CPU_ISA") == expected
    assert runtime.os.environ["GLOG_v"] == "3"


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE")
    monkeypatch.setenv("GLOG_v", "1")
    monkeypatch.setattr(runtime, "cpu_flags", lambda: "avx512f")
    runtime.prepare_environment()
    assert runtime.os.environ["ONEDNN_MAX_CPU_ISA"] == "AVX512_CORE"
    assert runtime.os.environ["GLOG_v"] == "1"


def test_the_package_sets_the_environment_and_leaves_mindspore_for_later(tmp_path: Path) -> None:
    program = (
        "import os, sys, ddpm_mindspore.accelerated as a\n"
        "assert os.environ['GLOG_v'] == '3'\n"
        "assert not {'mindspore', 'PIL', 'matplotlib'} & set(sys.modules)\n"
        "assert not hasattr(a, 'Nonsense')\n"
        "from ddpm_mindspore.accelerated import GaussianDiffusion, Trainer, Unet\n"
        "assert 'mindspore' in sys.modules\n"
        "assert {c.__name__ for c in (GaussianDiffusion, Trainer, Unet)} <= set(a.__all__)\n"
        "assert [getattr(a, name).__name__ for name in a.__all__] == list(a.__all__)\n"
    )
    environment = {k: v for k, v in runtime.os.environ.items() if k != "GLOG_v"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_device_is_chosen_by_name_or_found() -> None:
    assert runtime.select_device("CPU") == "CPU"
    assert runtime.select_device("auto") in ("Ascend", "CPU")


def test_devices_that_are_not_there_are_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="device 'TPU' is unknown: choose auto, Ascend"):
        runtime.select_device("TPU")
    if runtime.select_device("auto") == "Ascend":
        pytest.skip("there is an Ascend card")
    with pytest.raises(ValueError, match="device 'Ascend' is not available here: use --device CPU"):
        runtime.select_device("Ascend")


def test_to_choose_the_device_that_is_at_work_already_is_harmless() -> None:
    program = (
        "import mindspore as ms; from mindspore import ops; "
        "from ddpm_mindspore.accelerated.system.runtime import select_device; "
        "ops.ones((2,), ms.float32).asnumpy(); print(select_device('CPU'))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "CPU\n"), done.stderr
