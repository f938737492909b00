"""How far a run is, for a terminal and for a log."""

from __future__ import annotations

from typing import Any, Protocol, TextIO

from ...accelerated.system.say import Stream
from .outcomes import FAIL, Outcome, counted, share_text


class Progress(Protocol):
    """Where the plug-in says how far the run is."""

    def start(self, total: int) -> None: ...
    def begin(self, name: str) -> None: ...
    def end(self, outcome: Outcome) -> None: ...
    def close(self) -> None: ...


class Lines:
    """A line for each property, for logs.

    Its name comes first, in case the run ends there; where several are checked at a time
    (``together``) the line is written when it is whole.
    """

    def __init__(self, stream: TextIO | Stream, together: bool = False) -> None:
        self.stream, self.together = stream, together
        self.total, self.count = 0, 0

    def start(self, total: int) -> None:
        self.total = total
        self._say(f"{counted(total)} to check\n")

    def begin(self, name: str) -> None:
        if not self.together:
            self._open(name)

    def _open(self, name: str) -> None:
        self.count += 1
        self._say(f"[{self.count:>{len(str(self.total))}}/{self.total}] {name} ")

    def end(self, outcome: Outcome) -> None:
        if self.together:
            self._open(f"{outcome.topic}: {outcome.name}")
        share = "" if outcome.worst_share is None else f", {share_text(outcome.worst_share)}"
        self._say(f"{outcome.status}{share} ({outcome.seconds:.1f} s)\n")

    def close(self) -> None:
        """Nothing is left open."""

    def _say(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class Bar:
    """A progress bar with the name of the property that runs."""

    def __init__(self, stream: TextIO | Stream) -> None:
        self.stream, self.failed = stream, 0
        self.bar: Any = None

    def start(self, total: int) -> None:
        from tqdm import tqdm

        layout = "{n_fmt}/{total_fmt} |{bar:24}| {elapsed} {desc}"
        self.bar = tqdm(
            total=total, file=self.stream, leave=False, dynamic_ncols=True, bar_format=layout
        )

    def begin(self, name: str) -> None:
        failed = f"{self.failed} FAILED, " if self.failed else ""
        self.bar.set_description_str(f"{failed}{name}")

    def end(self, outcome: Outcome) -> None:
        self.failed += outcome.status == FAIL
        self.bar.update()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def progress_on(stream: TextIO | Stream, jobs: int = 1) -> Progress:
    """A bar on a terminal, lines elsewhere."""
    return Bar(stream) if stream.isatty() else Lines(stream, together=jobs > 1)
