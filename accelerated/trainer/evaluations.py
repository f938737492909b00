"""How good what a run draws is, as training goes on: ``evaluations.jsonl``, and for TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reference.evaluation.comparison import check_finite, compare
from ...reference.evaluation.resampling import Figure
from ...reference.evaluation.shares import Share
from ..config import TrainerConfig
from ..data import Images, read_spread
from ..evaluation.features import chosen, describer
from ..obedience import OBEYS
from ..obedience.judge import judge_of, reduced
from ..process import to_uint8
from ..runs.folder import RunFolder
from .tensorboard import EventFile

REAL = 2000
"""Real items that drawn ones are compared with, evenly spread over all."""

REPLICATES = 10


class Evaluations:
    """Compares what the average draws with the data, as ``evaluate`` does in more detail.

    Args:
        run: where figures are written.
        images: what is trained on.
    """

    def __init__(self, run: RunFolder, config: TrainerConfig, images: Images) -> None:
        self._run, self._config, self._images = run, config, images
        self._real: NDArray[Any] | None = None

    def due(self, step: int) -> bool:
        """Whether the checkpoint of this step is to be evaluated."""
        every = self._config.evaluate_every
        return every is not None and step > 0 and step % every == 0

    def add(
        self, step: int, drawn: NDArray[np.float32], captions: Sequence[str] | None = None
    ) -> None:
        """Compare drawn items (N, C, *spatial) with real ones, and write the figures down.

        ``captions``: what was asked for, over and over, of a network that is told texts.

        Raises:
            ValueError: drawn items that are not finite.
            OSError: the disk is full.
        """
        if self._real is None:
            self._real = read_spread(self._images, REAL).x
        real = self._real
        items = to_uint8(drawn) if real.dtype == np.uint8 else drawn
        features = describer(chosen("auto", drawn.shape[1:]), real)
        of_items, of_real = features(items), features(real)
        check_finite("drawn", items, of_items)
        found = compare(of_items, of_real, seed=self._config.seed, replicates=REPLICATES)
        if captions is not None and (judge := judge_of(self._images)) is not None:
            said = [captions[i % len(captions)] for i in range(len(items))]
            shares = judge.shares(reduced(to_uint8(drawn), judge.side), said)
            found |= {f"{OBEYS}{name}": _figure(share) for name, share in shares.items()}
        row = {"step": step} | {name: figure.value for name, figure in found.items()}
        errors = {f"{name}_error": figure.error for name, figure in found.items()}
        self._run.evaluations.append([row | errors | {"samples": len(drawn), "real": len(real)}])
        if self._config.tensorboard:
            # A run of its own beside the training's, whose file the log has open.
            events = EventFile(self._run.tensorboard / "evaluation", step - 1)
            events.add([row])
            events.close()


def _figure(share: Share) -> Figure:
    return Figure(share.value, (share.high - share.low) / (2 * 1.96))
