"""For all tests."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from ddpm_mindspore.parity.report.workers import take_a_core

LONG = ("tests/reference/test_readme.py", "tests/accelerated/test_sequences_and_tables.py")
"""Files with few tests that take minutes: started last, one worker would be alone with them."""

FORGETTING = ("tests/parity/", "parity/")
"""Tests that forget all that was compiled, which takes the longer the more it is: early ones."""

take_a_core()

# Who starts a runner in the background, or with nohup, has it ignore Ctrl-C or a closed terminal,
# and every process that it starts. What is tested here is what happens where nobody does.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A file's tests stay together, as with loadfile; planted bugs by the property that sees them.

    There are hundreds of them, and what is compiled for one bug serves those of its property alone.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

    from .parity.bugs import BUGS

    property_of = {bug.name: bug.caught_by for bug in BUGS}

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            return f"{file}::{property_of.get(test.partition('[')[2].rstrip(']'), '')}"

        def schedule(self) -> None:
            super().schedule()
            for files in (FORGETTING, LONG):
                for scope in [s for s in reversed(self.workqueue) if s.startswith(files)]:
                    self.workqueue.move_to_end(scope, last=False)

    return Scheduling(config, log)
