"""An earlier run, to see where errors have grown although they are within their bounds still."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..judgement.tolerance import DEEP_FACTOR

GROWTH = 4.0
"""How many times an error may have grown."""

# A share of 1 / DEEP_FACTOR is an error as large as NumPy's own float32 run makes it, or, in a
# formula with few operations, a part of one rounding. Below it the order of sums decides, which
# another CPU or thread count changes: growth from nothing is counted from here.
FLOOR = 1.0 / DEEP_FACTOR

REMEDY = "make a new report to compare with"


@dataclass(frozen=True)
class Earlier:
    """What an earlier report says.

    Attributes:
        name: of its file.
        started, device: when and where it was made.
        shares: the worst share of each property that measured one, by pytest's node id.
    """

    name: str
    started: str
    device: str
    shares: dict[str, float]

    @property
    def title(self) -> str:
        """The file, the device and the time."""
        return f"{self.name} ({self.device}, {self.started.replace('T', ' ')})"

    def has_grown(self, nodeid: str, share: float) -> bool:
        """Whether a share is more than GROWTH times what it was; never for what is new."""
        before = self.shares.get(nodeid)
        return before is not None and share > GROWTH * max(before, FLOOR)

    def growth_text(self, nodeid: str, share: float) -> str:
        """The same in words."""
        before = self.shares[nodeid]
        times = f"{share / before:.3g} times as large" if before else "nothing before"
        return (
            f"the error grew to {share:.3g} of its bound, from {before:.3g} in {self.title}: "
            f"{times}\n"
            f"allowed is {GROWTH:g} times what it was, or {GROWTH * FLOOR:g} of the bound"
        )


def read_earlier(file: Path, run: dict[str, Any]) -> Earlier:
    """An earlier report, which compared the same examples with the same bounds.

    Args:
        file: its report.json.
        run: this run's "suite", "seed", "examples" and "hypothesis" (its version, which draws).

    Raises:
        ValueError: it cannot be read, or compared other examples or with other bounds.
    """
    try:
        report = json.loads(file.read_bytes())
        rows = [(row["nodeid"], row["worst_share"]) for row in report["outcomes"]]
        shares = {nodeid: float(share) for nodeid, share in rows if share is not None}
        device, started = str(report["device"]), str(report["started"])
        before = {name: report.get(name) for name in ("suite", "seed", "examples")}
        before["hypothesis"] = report["environment"].get("hypothesis")
    except OSError as error:
        raise ValueError(f"{str(file)!r} cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{str(file)!r} is no report.json of this command") from None
    for name, now in run.items():
        if before[name] != now:
            raise ValueError(_difference(str(file), name, before[name], now))
    return Earlier(str(file), started, device, shares)


def _difference(file: str, name: str, before: Any, now: Any) -> str:
    if name == "suite":
        said = f"is of suite {before}, " if before else "does not say of which suite it is, "
        return f"{file!r} {said}and this is {now}: properties or bounds differ, {REMEDY}"
    if name == "hypothesis":
        return f"{file!r} has examples of Hypothesis {before}, and {now} draws others: {REMEDY}"
    what = "the default" if before is None else before
    mine = "the default" if now is None else now
    option = f"(--{name} {before})" if before is not None else f"(leave out --{name})"
    return f"{file!r} has {name} {what}, and this run {mine}: give it the same {option}"
