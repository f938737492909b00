"""Against PyTorch at its best: compiled, in bfloat16, channels last. Minutes of compiling."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from typing import Any

from bench import NETWORK_A, NETWORK_C, Bench, details, sampling, training
from processes import Measured
from rows import Row

HALF: dict[str, dict[str, Any]] = {
    "ours": {},
    "ours half": {"amp": ["O1", "bfloat16"]},
    "peer": {},
    "peer compiled": {"compile": True},
    "peer mixed": {"conv_precision": "bf16"},
    "peer half": {"autocast": True, "channels_last": True},
    "peer half compiled": {"autocast": True, "channels_last": True, "compile": True},
}
"""The sides, and what is added to what they are told."""

AGAINST = (
    ("float32", "ours", "peer compiled", "against torch.compile in float32"),
    ("bfloat16", "ours half", "peer", "against float32"),
    ("bfloat16", "ours half", "peer mixed", "against convolutions' fp32_precision bf16"),
    ("bfloat16", "ours half", "peer half", "against bfloat16 autocast, channels last"),
    ("bfloat16", "ours half", "peer half compiled", "against the same with torch.compile"),
)
"""What of ours is compared with what."""


def strongest(bench: Bench) -> Iterator[Row]:
    """A and C in bfloat16, and against what PyTorch can do at best."""
    if not any(map(shutil.which, ("g++", "clang++", os.environ.get("CXX", "")))):
        yield Row("H", "against torch.compile", failed="skipped: it needs a C++ compiler")
        return
    for what, spec, steps, goals in (
        ("A's training step", training(NETWORK_A, 32, 8), 5, (0.75, 0.4, None, None, 0.8)),
        (
            "A's sampling step, batch 8",
            sampling(NETWORK_A, 32, 8),
            10,
            (0.85, 0.28, None, None, 0.8),
        ),
        ("A's sampling step, batch 1", sampling(NETWORK_A, 32, 1), 25, (None,) * 5),
        ("C's training step", training(NETWORK_C, 64, 4), 2, (0.8, 0.45, None, None, 0.8)),
    ):
        measured = bench.compare({side: spec | more for side, more in HALF.items()}, steps)
        yield from _rows(what, measured, dict(zip(AGAINST, goals, strict=True)))


def _rows(
    what: str, measured: Measured, goals: Mapping[tuple[str, str, str, str], float | None]
) -> Iterator[Row]:
    for (precision, ours, peer, against), limit in goals.items():
        yield Row(
            "H",
            f"{what}, {precision}, {against}",
            measured.seconds[ours],
            measured.seconds[peer],
            limit=limit,
            details=details(measured),
        )
