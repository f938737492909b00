"""What is let go is given back to the machine."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ddpm_mindspore.accelerated.system.memory import give_back

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def resident() -> int:
    text = Path("/proc/self/statm").read_text(encoding="utf-8")
    return int(text.split()[1]) * resource.getpagesize()


def test_what_was_let_go_is_given_back_to_the_machine() -> None:
    blocks = [np.ones(8000) for _ in range(2000)]  # 128 MB, in pieces that stay with the library
    last = blocks.pop()
    del blocks
    before = resident()
    give_back()
    assert before - resident() > 64e6
    assert last.any()


LARGE = """
import sys
import numpy as np
from ddpm_mindspore.accelerated.system.memory import return_large_blocks
from tests.accelerated.test_memory import resident

del (first := [np.ones(2**21)])[:]  # after which the library keeps blocks as large as this
if sys.argv[1] == "returned":
    return_large_blocks()
before = resident()
blocks = [(np.ones(2**18), np.ones(2**10)) for _ in range(50)]  # 2 MB, and what stays behind it
kept = [small for _, small in blocks]
del blocks
print(resident() - before)
"""


@pytest.mark.parametrize("how", ["kept", "returned"])
def test_large_blocks_are_given_back_when_they_are_freed(how: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LARGE, how], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    grown = int(done.stdout)
    assert grown < 10e6 if how == "returned" else grown > 90e6
