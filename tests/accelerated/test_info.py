"""``ddpm-mindspore info``: facts about this machine, for people and for programs."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import mindspore
import pytest

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.commands import info
from ddpm_mindspore.accelerated.system import runtime


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runtime.CACHE, str(tmp_path / "graphs"))
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / ("a" * 64)).write_bytes(bytes(1_500_000))
    (tmp_path / "graphs" / "not a graph").write_bytes(bytes(10))


def test_facts_as_json_are_those_of_this_process(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json", "--device", "CPU"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["device"] == "CPU" and "CPU" in facts["devices"]
    assert facts["versions"]["mindspore"] == mindspore.__version__
    assert facts["versions"]["python"] == platform.python_version()
    assert facts["versions"]["ddpm-mindspore"]
    assert 1 <= facts["cpu"]["threads"] <= facts["cpu"]["processors"] == os.cpu_count()
    assert facts["memory"]["total"] > facts["memory"]["available"] > 0
    cache = facts["compile_cache"]
    assert (cache["in_use"], cache["graphs"], cache["bytes"]) == (True, 1, 1_500_000)
    assert cache["folder"] == os.environ[runtime.CACHE]


def test_people_get_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out, err = capsys.readouterr()
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert err == "" and list(lines) == [
        *("device", "operators", "bfloat16", "processor", "threads"),
        *("memory", "versions", "data", "compiled"),
    ]
    assert len({line.index(lines[line.split()[0]]) for line in out.splitlines()}) == 1  # aligned
    assert f"mindspore {mindspore.__version__}" in lines["versions"]
    assert lines["compiled"] == f"1.5 MB in {os.environ[runtime.CACHE]} (graphs: 1)"


def test_what_is_turned_off_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runtime.CACHE, "off")
    monkeypatch.setenv(runtime.KERNELS, "stock")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    facts = info.gather()
    assert not facts["compile_cache"]["in_use"]
    text = info.describe(facts)
    assert "nothing is kept: DDPM_MINDSPORE_CACHE=off" in text
    assert "stock MindSpore operators: DDPM_MINDSPORE_KERNELS=stock" in text
    assert "not here: DDPM_MINDSPORE_KERNELS=stock" in text
    assert "oneDNN held to AVX2" in text
    assert "digits, scenes, pictures (train --data NAME)" in text


def test_whether_bfloat16_is_multiplied_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for reason, text in (("", "train --amp-level O1"), ("no instructions", "not here: no instr")):
        monkeypatch.setattr(kernels, "why_no_bfloat16", lambda reason=reason: reason)
        facts = info.gather()
        assert facts["bfloat16"] == reason
        assert f"bfloat16   {text}" in info.describe(facts)


def test_the_flags_that_matter_are_picked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "model name\t: Some CPU\nflags\t: fpu avx2 avx512f avx512bw fma sse\n"
    monkeypatch.setattr(runtime, "cpu_flags", lambda: said)
    cpu = info.gather()["cpu"]
    assert cpu["model"] == "Some CPU" and cpu["flags"] == ["avx2", "fma", "avx512f"]
    monkeypatch.setattr(runtime, "cpu_flags", lambda: "")
    assert info.gather()["cpu"]["model"] == platform.machine()


def test_a_device_that_is_unknown_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--device", "TPU"]) == 2
    assert "device 'TPU' is unknown" in capsys.readouterr().err


def test_a_folder_of_graphs_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(runtime.CACHE, str(tmp_path / "file"))
    assert main(["info"]) == 0
    wrong = f"nothing can be read in {tmp_path / 'file'}: Not a directory"
    assert capsys.readouterr().out.splitlines()[-1].endswith(wrong)


def test_a_user_without_a_home_folder_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(runtime.CACHE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", none)
    assert main(["info"]) == 0
    assert "the user has no home folder" in capsys.readouterr().out.splitlines()[-1]
