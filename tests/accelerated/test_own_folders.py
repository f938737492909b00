"""Folders of this package are told from those of others by what they hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ddpm_mindspore.accelerated.runs.own import DRAWN, RUN, is_drawing, is_run

OWN = {"version": 1, "versions": {"ddpm-mindspore": "0.1.0"}}


def test_own_folders_are_known(tmp_path: Path) -> None:
    (tmp_path / RUN).write_text(json.dumps(OWN))
    assert is_run(tmp_path) and not is_drawing(tmp_path)
    (tmp_path / RUN).rename(tmp_path / DRAWN)
    assert is_drawing(tmp_path) and not is_run(tmp_path)


@pytest.mark.parametrize(
    "text", ["", "mine", "[]", "3", '{"version": 1}', '{"version": 1, "versions": {"vite": "5"}}']
)
def test_files_of_others_are_not(tmp_path: Path, text: str) -> None:
    (tmp_path / RUN).write_text(text)
    assert not is_run(tmp_path)


def test_what_is_not_there_is_no_run(tmp_path: Path) -> None:
    assert not is_run(tmp_path / "nothing")
    (tmp_path / RUN).mkdir()
    assert not is_run(tmp_path)
