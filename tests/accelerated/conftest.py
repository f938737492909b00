"""Imported before the tests, which import MindSpore: it reads its environment once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ddpm_mindspore.accelerated.system import runtime

from .quick_trainer import quick as quick


@pytest.fixture(scope="session", autouse=True)
def _graphs_of_these_tests(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Iterator[None]:
    """Compiled graphs are kept, as the commands do it, for each other and for no one else."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder if worker_id == "master" else folder.parent
    os.environ[runtime.CACHE] = str(folder / "graphs")
    with runtime.compile_cache_allowed():
        yield
