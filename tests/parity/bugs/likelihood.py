"""Bugs in what the bits of an image are counted from."""

from __future__ import annotations

from ..planting import Bug

FILE = "evaluation.likelihood"

LIKELIHOOD = [
    Bug(
        "a trace is probed along nothing in particular",
        f"{FILE}.probing_step",
        "(x0_hat * v).sum()",
        "x0_hat.sum()",
        "likelihood: probe",
    ),
    Bug(
        "a probe's derivative is not projected back",
        f"{FILE}.probe",
        "along = v * slope",
        "along = slope",
        "likelihood: probe",
    ),
    Bug(
        "a probe asks at the time before",
        f"{FILE}.probe",
        "float(t[0])",
        "max(float(t[0]) - 1.0, 1.0)",
        "likelihood: probe",
    ),
]
