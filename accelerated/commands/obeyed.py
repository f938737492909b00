"""The part of ``evaluate`` that says how far a run that is told texts shows what it is told."""

from __future__ import annotations

from typing import Any

from ..data import Images, read_spread
from ..obedience.judge import Judge, Pixels, judge_of, judged
from ..runs.opened import OpenedRun
from .labels import Captions

HELD_OUT, EMPTY = 4, 10
"""Of so many captions of the data there is one of what was never shown, and one empty text."""


class Texts:
    """What a run is asked for.

    Args:
        captions: of the data.
        judge: who can read what is drawn of them; without one nothing else is asked for.

    Attributes:
        said: the captions of the data, then what was never shown, then empty texts.
        number: how many there are in all.
    """

    def __init__(self, captions: list[str], judge: Judge | None) -> None:
        self._seen, self._judge, more = len(captions), judge, []
        if judge is not None:
            more = judge.never_shown(max(1, self._seen // HELD_OUT))
        self._unseen = len(more)
        empty = [""] * (max(1, self._seen // EMPTY) if judge is not None else 0)
        self._texts = [*captions, *more, *empty]
        self.said, self.number = Captions(self._texts), len(self._texts)

    def obeyed(self, drawn: Pixels) -> dict[str, Any]:
        """For evaluation.json; nothing where nobody can judge."""
        if self._judge is None:
            return {}
        found = judged(self._judge, drawn, self._texts, self._seen, self._unseen)
        return {"obedience": found}


def texts_of(run: OpenedRun, real: Images, number: int) -> Texts | None:
    """What a network that is told texts is asked for: what is said of real pictures, and more.

    Raises:
        ValueError: nothing is said of them.
    """
    if not run.diffusion.model.captioned:
        return None
    captions = read_spread(real, number).captions
    if captions is None:
        raise ValueError(
            f"data {str(run.config.data)!r} have no captions, and the run is told texts: name some"
        )
    # Where there are fewer pictures than samples, they are asked for again.
    return Texts([captions[i % len(captions)] for i in range(number)], judge_of(real))
