"""For the record: the machine's peak, and OpenVINO in the place of PyTorch."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from bench import NETWORK_A, Bench, details, sampling, training
from rows import Row
from strongest import HALF


def share_of_peak(bench: Bench) -> Iterator[Row]:
    """A's training step: its share of what the machine multiplies in a matrix product."""
    spec = training(NETWORK_A, 32, 8)
    product = {"task": "product"}
    measured = bench.compare(
        {
            "ours": spec,
            "ours half": spec | HALF["ours half"],
            "peer": spec | {"count": True},
            "peer half": spec | HALF["peer half"],
            "peer product": product,
            "peer product half": product | {"dtype": "bfloat16"},
        },
        5,
    )
    flops = measured.ready["peer"]["flops"]
    per_flop = measured.seconds
    note = (
        f"{flops / 1e9:,.0f} GFLOP, as PyTorch counts the products of a step, a multiplication and "
        "an addition being two; the peak is that of its product of 4,096 x 4,096 matrices. "
        "Filtering by Winograd multiplies less than that count, so a share is no limit."
    )
    for precision, suffix in (("float32", ""), ("bfloat16", " half")):
        peak = per_flop[f"peer product{suffix}"]
        shares = {side: _shares(flops, per_flop[side + suffix], peak) for side in ("ours", "peer")}
        rate = 1 / statistics.median(peak)
        what = f"A's training step, {precision}: share of the peak of {rate / 1e9:,.0f} GFLOP/s"
        yield Row("P", what, shares["ours"], shares["peer"], "share", note=note)


def openvino(bench: Bench) -> Iterator[Row]:
    """A's sampling step beside OpenVINO's."""
    if not bench.peer_has("openvino"):
        yield Row("O", "OpenVINO", failed="skipped: the peer's environment has no openvino")
        return
    for batch_size, steps in ((8, 10), (1, 25)):
        spec = sampling(NETWORK_A, 32, batch_size)
        measured = bench.compare(
            {
                "ours": spec,
                "ours half": spec | HALF["ours half"],
                "peer": spec | {"openvino": "f32"},
                "peer half": spec | {"openvino": "bf16"},
            },
            steps,
        )
        for precision, suffix in (("float32", ""), ("bfloat16", " half")):
            yield Row(
                "O",
                f"A's sampling step, batch {batch_size}, {precision}, against OpenVINO",
                measured.seconds[f"ours{suffix}"],
                measured.seconds[f"peer{suffix}"],
                details=details(measured),
            )


def _shares(flops: float, seconds: Sequence[float], peak: Sequence[float]) -> list[float]:
    """Of a step's seconds, how many its products take at the peak, round by round."""
    return [flops * best / taken for taken, best in zip(seconds, peak, strict=True)]
