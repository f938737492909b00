"""What ``ddpm-mindspore parity`` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...accelerated.system.runtime import usable_cores
from ...reference.plain import make_plain
from .workers import MOST_JOBS


@dataclass(frozen=True)
class ParityConfig:
    """Options of ``parity``.

    Attributes:
        device: what to check; auto is an Ascend card if there is one, else the CPU.
        examples: cases drawn for each cheap property, and in proportion for the others. More find
            more, and take longer.
        only: check only the properties whose file or name contains this; "and", "or", "not" and
            parentheses combine.
        report: folder to write report.html, report.json and junit.xml to.
        seed: the examples are a function of it.
        compare: report.json of an earlier run with the same suite, seed and examples; a property
            fails when its error grew more than fourfold, though it is within its bound.
        record: folder to write a trace to: some of the cases as files, and a program that checks a
            device by them where this suite cannot be installed.
        fail_fast: stop at the first property that fails, and do not look for a smaller example.
        jobs: processes that share the properties, up to the number of cores, or 4 where these are
            fewer. Without it one a core on a CPU, at most 4; and one on a card, for a trace, for
            --only and for --fail-fast.

    Raises:
        ValueError: a value out of its range.
    """

    device: Literal["auto", "CPU", "Ascend", "GPU"] = "auto"
    examples: int | None = None
    only: str | None = None
    report: Path = Path("parity-report")
    seed: int = 0
    compare: Path | None = None
    record: Path | None = None
    fail_fast: bool = False
    jobs: int | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        if self.examples is not None and self.examples < 1:
            raise ValueError(f"examples {self.examples} must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} must not be negative")
        if self.jobs is not None and self.jobs < 1:
            raise ValueError(f"jobs {self.jobs} must be at least 1")
        if (self.jobs or 1) > (most := max(usable_cores(), MOST_JOBS)):
            raise ValueError(
                f"jobs {self.jobs} must be at most {most} here: each takes a core and a gigabyte"
            )
        if self.record is not None and (self.jobs or 1) > 1:
            raise ValueError(f"jobs {self.jobs} cannot record one trace together: leave --jobs out")
