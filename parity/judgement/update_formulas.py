"""The first formula of an update that is wrong when it is given the reference's gradient.

See ``one_update`` for how an update is taken apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...reference.training import TrainingConfig
from ..sides import device, network
from ..sides.one_update import Update, accumulated
from .explain import Finding, source
from .tolerance import Arrays


class Formula(NamedTuple):
    """A formula's name, where it is, and a comparison: its error as a share of its bound."""

    name: str
    file: str
    pattern: str
    share: Callable[[], float]


def first_wrong(
    config: TrainingConfig,
    starts: Arrays,
    gradient: Arrays,
    step: int,
    accumulate: int = 1,
    ema_sigma_rels: Sequence[float] = (),
) -> Finding | None:
    """Look at every formula of update number ``step``, in the order in which it is computed.

    Args:
        starts, gradient: parameters and the reference's gradient, by name, float32.
        accumulate: how many gradients are averaged.
    """
    for formula in formulas(config, starts, gradient, step, accumulate, ema_sigma_rels):
        share = formula.share()
        if share > 1.0:
            what = (
                f"{formula.name}: {share:.3g} times its bound when given the reference's gradient"
            )
            line = _alone(formula.name, config, step, accumulate, ema_sigma_rels)
            return Finding(what, source(formula.file, formula.pattern), line)
    return None


def formulas(
    config: TrainingConfig,
    starts: Arrays,
    gradient: Arrays,
    step: int,
    accumulate: int = 1,
    ema_sigma_rels: Sequence[float] = (),
) -> Iterator[Formula]:
    """All of them. What is in the gradient is not asked: it is scaled as each formula needs it."""
    update = Update(config, starts, gradient, step, ema_sigma_rels)
    file = "optimizer.py"
    if accumulate > 1:
        averaged = partial(accumulated, gradient, accumulate)
        yield Formula("accumulation", "training.py", "def accumulate", averaged)
    yield Formula("the correction of Adam's bias", file, "^def step_scalars", update.scalars)
    yield Formula("the norm of the gradient", file, "norm = ", update.norm)
    yield Formula("clipping", file, "shorten = ", update.clipping)
    yield Formula("Adam's moments", file, r"self\.adam\(", update.moments)
    yield Formula("Adam's step", file, r"self\.adam\(", update.adam)
    yield Formula("weight decay", file, r"self\.decays\)|^def _decaying", update.decay)
    yield Formula("the average", file, r"assign_add\(self\.ema", update.average)
    yield Formula("leaving out what is not finite", file, "finite = ", update.left_out)
    if ema_sigma_rels:
        yield Formula("the longer averages", file, r"assign_add\(self\.powers", update.powers)


SHAPES = (((1,),), ((2, 1),), ((3, 4), (5,)))
"""What a formula is tried on by itself, the smallest first."""


def update(
    formula: str,
    shapes: Sequence[Sequence[int]],
    training: Mapping[str, Any],
    step: int,
    accumulate: int = 1,
    ema_sigma_rels: Sequence[float] = (),
) -> None:
    """Compare one formula of an update of a few tensors; AssertionError where it is wrong."""
    config = network.training_config(training)
    named = {f"{i}.{'weight' if len(s) > 1 else 'bias'}": tuple(s) for i, s in enumerate(shapes)}
    starts = {name: device.draw(i, shape) for i, (name, shape) in enumerate(named.items())}
    grads = {name: device.draw(9 + i, shape) for i, (name, shape) in enumerate(named.items())}
    for each in formulas(config, starts, grads, step, accumulate, ema_sigma_rels):
        share = each.share() if each.name == formula else 0.0
        if share > 1.0:
            raise AssertionError(f"{formula} is {share:.3g} times its bound")


def _alone(
    formula: str,
    config: TrainingConfig,
    step: int,
    accumulate: int,
    ema_sigma_rels: Sequence[float],
) -> str:
    """The line that shows it on the smallest tensors that do, if any do."""
    usual = TrainingConfig()
    options = {
        name: getattr(config, name)
        for name in vars(usual)
        if getattr(config, name) != getattr(usual, name)
    }
    case: dict[str, Any] = {"formula": formula, "training": options, "step": step}
    if accumulate > 1 and formula == "accumulation":
        case["accumulate"] = accumulate
    if "longer" in formula:
        case["ema_sigma_rels"] = tuple(ema_sigma_rels)
    for shapes in SHAPES:
        try:
            update(**case, shapes=shapes)
        except AssertionError:
            args = ", ".join(f"{n}={v!r}" for n, v in {"shapes": shapes, **case}.items())
            module = __name__
            return f"from {module} import update; update({args})"
        except Exception:
            continue  # this only looks for a line to show
    return ""
