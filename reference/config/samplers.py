"""Names of samplers and of spacings, and which options each sampler has.

Apart from what they do, which ``samplers`` and ``spacing`` state: whoever is told a name can refuse
a wrong one before anything is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..plain import check_choice

CHURN = ("s_churn", "s_tmin", "s_tmax", "s_noise")

SAMPLERS: dict[str, tuple[str, ...]] = {
    "ancestral": ("variance",),
    "ddim": ("eta",),
    "euler": CHURN,
    "heun": CHURN,
    "plms": (),
    "dpm++2s": (),
    "dpm++2m": (),
    "dpm++3m": (),
    "dpm++2m-sde": (),
    "unipc": ("order", "variant"),
    "deis": ("order",),
}
"""Every sampler, and its options."""

SPACINGS = ("uniform", "trailing", "leading", "linspace", "quadratic", "log_snr", "karras")
"""Rules for the times of n steps; ``spacing`` states them."""

VARIANCES = ("posterior", "beta", "learned")
"""What an ancestral step adds: see ``samplers/ancestral.py``."""

VARIANTS = ("bh1", "bh2")
"""B(h) of UniPC: see ``samplers/unipc.py``."""


def check_sampler(name: str, options: Mapping[str, Any]) -> None:
    """Raise ValueError for an unknown sampler, and for an option that it has not, by its name."""
    check_choice("sampler", name, tuple(SAMPLERS))
    for option, value in options.items():
        if option not in SAMPLERS[name]:
            having = having_it(option)
            has = "has" if len(having) == 1 else "have"
            raise ValueError(
                f"{option} {value} is no option of sampler {name!r}: "
                f"{', '.join(having) or 'none'} {has} it"
            )


def having_it(option: str) -> list[str]:
    """The samplers that have an option."""
    return [name for name, own in SAMPLERS.items() if option in own]
