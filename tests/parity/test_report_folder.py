"""A report is written over an older one, and over nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddpm_mindspore.parity.report.command import run
from ddpm_mindspore.parity.report.options import ParityConfig
from ddpm_mindspore.parity.report.outcomes import Report, environment, to_json
from ddpm_mindspore.parity.report.report_folder import FILES, files_of_others


@pytest.mark.parametrize("name", FILES)
def test_files_of_others_are_not_written_over(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text('{"environment": {"node": "22"}}')
    assert run(ParityConfig(report=tmp_path)) == 2
    assert f"report folder {str(tmp_path)!r} holds {name} of something else: choose another" in (
        capsys.readouterr().err
    )
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert "22" in (tmp_path / name).read_text()


def test_a_report_is(tmp_path: Path) -> None:
    report = Report((), "CPU", 0, None, None, "2026-11-28", 1.0, environment())
    for name in FILES:
        (tmp_path / name).write_text(to_json(report))
    assert files_of_others(tmp_path) == []
    assert files_of_others(tmp_path / "new") == []
    (tmp_path / "report.json").write_text(json.dumps(["mine"]))
    assert files_of_others(tmp_path) == list(FILES)


def test_home_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert ParityConfig(report="~/report").report == Path("/home/me/report")  # type: ignore[arg-type]
