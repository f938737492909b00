"""Imported before the tests, which import MindSpore: it reads its environment once."""

from __future__ import annotations

import os

import pytest

from ddpm_mindspore.accelerated.system import runtime

from .quick_trainer import quick as quick


@pytest.fixture(scope="session", autouse=True)
def _graphs_of_these_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The commands that are tested keep compiled graphs, for each other and for no one else."""
    os.environ[runtime.CACHE] = str(tmp_path_factory.mktemp("graphs"))
