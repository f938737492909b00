"""pytest as the command runs it: on its own suite, and untouched by what lies around."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

from ...accelerated.system.runtime import usable_cores
from .options import ParityConfig
from .workers import MOST_JOBS


@contextlib.contextmanager
def quiet_home(scratch: Path) -> Iterator[None]:
    """Nothing is read from, or written to, the current folder or the installed package."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
            patch.delenv(name, raising=False)
        # A user's other plug-ins would reorder, rerun or time the properties.
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        patch.setattr(sys, "dont_write_bytecode", True)
        # The same for other processes that run properties.
        patch.setenv("PYTHONDONTWRITEBYTECODE", "1")
        patch.setenv("HYPOTHESIS_STORAGE_DIRECTORY", str(scratch / "hypothesis"))
        set_hypothesis_home_dir(scratch / "hypothesis")
        try:
            yield
        finally:
            set_hypothesis_home_dir(None)


def jobs_of(config: ParityConfig, device: str) -> int:
    """How many processes share the properties."""
    if config.jobs is not None:
        return config.jobs
    alone = device != "CPU" or config.record or config.only or config.fail_fast
    return 1 if alone else min(usable_cores(), MOST_JOBS)


def arguments(
    config: ParityConfig, device: str, suite: Path, scratch: Path, jobs: int
) -> list[str]:
    """pytest's command line; ``scratch`` takes what it writes."""
    options = [str(suite), f"--rootdir={suite}", f"--confcutdir={suite}", "-c", os.devnull]
    options += ["--import-mode=importlib", "-p", "hypothesispytest"]
    options += ["-p", "ddpm_mindspore.parity.report.properties"]
    options += ["-p", "xdist", "-n", str(jobs), "--dist", "worksteal"] if jobs > 1 else []
    options += ["-p", "no:cacheprovider", "-p", "no:terminal"]
    options += ["--assert=plain"]  # no property relies on more, and it takes two seconds
    options += ["-m", "not nightly and not slow", f"--junit-xml={scratch / 'junit.xml'}"]
    options += [f"--device={device}", f"--hypothesis-seed={config.seed}"]
    options += [f"--examples={config.examples}"] if config.examples else []
    options += ["-x"] * config.fail_fast
    return options + (["-k", config.only] if config.only else [])
