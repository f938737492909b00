"""Whether the moving average is one yet: at first it copies parameters, and later lags behind."""

from __future__ import annotations

from ...reference.optimizer import ema_weight
from ..config import TrainerConfig

_NEGLIGIBLE = 1e-6  # of the average, the share of the parameters that are not looked at
_EARLY = 2 / 3  # of the steps done: the usual warm-up lies up to half of them behind


def lag(step: int, config: TrainerConfig) -> float:
    """How many steps the parameters that an average holds after ``step`` lie behind, on average.

    With w_s the share that the average keeps of itself after update number s, those of update s
    make (1 - w_s) w_{s+1} ... w_step of it, and lie step - s behind.
    """
    share, behind = 1.0, 0.0
    every = config.ema_update_every
    for s in range(_last_update(step, every), 0, -every):
        kept = ema_weight(s, config.ema_decay, every, config.ema_update_after_step)
        behind += share * (1.0 - kept) * (step - s)
        share *= kept
        if share < _NEGLIGIBLE:
            break
    return behind


def remark(step: int, config: TrainerConfig) -> str:
    """What to know before looking at a picture that the average of this step has drawn, or ""."""
    after, every = config.ema_update_after_step, config.ema_update_every
    copied = _last_update(step, every)
    if 0 < copied <= after + 1:
        first = 1 + (after // every + 1) * every
        copy = "the parameters themselves"
        if copied < step:
            copy = f"a copy of the parameters after step {copied:,}"
        return (
            f"the average at step {step:,} is still {copy}: it begins to average at step {first:,}"
        )
    if (behind := lag(step, config)) > _EARLY * step:
        return (
            f"the average at step {step:,} is mostly of early parameters: they lie {behind:,.0f} "
            f"steps behind on average (ema_decay {config.ema_decay:g}, ema_update_every {every:,})"
        )
    return ""


def _last_update(step: int, every: int) -> int:
    """The last step up to this one after which the average was updated; 0 before the first."""
    return step - (step - 1) % every if step else 0
