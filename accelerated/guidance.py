"""Guidance on the device; ``reference/guidance.py`` states each kind and its source.

One graph does all that is done to two estimates, and its options are numbers that it is given: for
another scale nothing is compiled. Where an interval leaves guidance out, which the host decides
step by step, the step without it is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops
from numpy.typing import NDArray

from ..reference.config import SamplingConfig
from ..reference.levels import NOISE, SIGNAL, TIME
from ..reference.schedule import Table
from .bound import halves
from .denoiser import Denoiser, denoiser
from .networks.network import Network
from .process import column
from .samplers.plan import move, widened
from .system.compile_cache import compiled

Step: TypeAlias = Callable[..., Any]
Classifier: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(x_t, t) to log p(y | x_t) of what is wanted, (B,), by operators that have a derivative."""

_SMALL, _LARGE = 1e-30, 1e30
"""What stands for nothing in a divisor, and for no limit."""


def numbers_of(config: SamplingConfig) -> tuple[float, ...]:
    """The options of two estimates, in the order in which the graph takes them."""
    norm = _LARGE if config.guidance_norm is None else config.guidance_norm
    strength = (config.cond_scale, config.guidance_rescale, config.guidance_parallel)
    return (*strength, norm, config.guidance_momentum)


def combined(
    x0_hat: Tensor, other: Tensor, running: Tensor, numbers: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """The guided estimate, and the running change for the next step.

    Shapes: x0_hat, other, running (B, C, *spatial); ``numbers``: scalars, as ``numbers_of``.
    """
    scale, rescale, parallel, norm, momentum = numbers
    change = x0_hat - other + momentum * running
    flat, estimate = change.reshape(change.shape[0], -1), x0_hat.reshape(x0_hat.shape[0], -1)
    size = ops.sqrt(_sum(flat * flat))
    flat = flat * ops.minimum(norm / ops.maximum(size, _SMALL), 1.0)
    along = _sum(flat * estimate) / ops.maximum(_sum(estimate * estimate), _SMALL)
    flat = flat - (1.0 - parallel) * along * estimate
    guided = estimate + (scale - 1.0) * flat
    before, after = _deviation(estimate), _deviation(guided)
    factor = ops.where(after > 0.0, before / ops.maximum(after, _SMALL), 1.0)
    guided = rescale * factor * guided + (1.0 - rescale) * guided
    return guided.reshape(x0_hat.shape), change


def _sum(x: Tensor) -> Tensor:
    """(B, N) to (B, 1): a product, as a reduction takes longer on a CPU."""
    return ops.matmul(x, ops.ones((x.shape[1], 1), x.dtype))


def _deviation(x: Tensor) -> Tensor:
    apart = x - _sum(x) / x.shape[1]
    return ops.sqrt(_sum(apart * apart) / x.shape[1])


def guided_step(predict_x0: Denoiser, limit: Callable[[Tensor], Tensor]) -> Step:
    """The device step with two estimates: what ``sampling_step`` gives, and the running change.

    Beside what ``sampling_step`` takes, the running change, the numbers, and the other estimate.
    Where that is None, ``condition`` is that of both halves of a batch twice as large, (2B, ...),
    of which the second has none. ``limit``: what is done to an estimate at last. A learned variance
    is that of the first estimate, as it is.
    """

    def step(x, levels, noise, condition, x_self_cond, registers, factors, running, numbers, other):  # type: ignore[no-untyped-def]
        if other is None:
            shown = ops.concat((x_self_cond, x_self_cond))
            both = predict_x0(ops.concat((x, x)), ops.concat((levels, levels)), condition, shown)
            found, other = ops.split(both, x.shape[0])
            other, _ = halves(other, x)
        else:
            found = predict_x0(x, levels, condition, x_self_cond)
        x0_hat, raw = halves(found, x)
        x0_hat, running = combined(x0_hat, other, running, numbers)
        x0_hat = limit(x0_hat)
        return (*move(x, x0_hat, widened(noise, raw, factors), registers, factors), running)

    return step


def classifier_step(predict_x0: Denoiser, limit: Callable[[Tensor], Tensor]) -> Step:
    """The device step with the gradient of a classifier: what ``sampling_step`` gives.

    Beside what ``sampling_step`` takes, the scale, and the gradient by x, of its shape.
    """

    def step(x, levels, noise, condition, x_self_cond, registers, factors, scale, gradient):  # type: ignore[no-untyped-def]
        x0_hat, raw = halves(predict_x0(x, levels, condition, x_self_cond), x)
        sigma = column(levels, NOISE, x)
        factor = scale * sigma * sigma / column(levels, SIGNAL, x)
        x0_hat = limit(x0_hat + factor * gradient)
        return move(x, x0_hat, widened(noise, raw, factors), registers, factors)

    return step


class Guidance:
    """The guided steps of a denoiser, each compiled when it is first asked for.

    Args:
        model: whose denoiser it is.
        plain: the compiled step without guidance.
        limit: what is done to every estimate at last, as cutting it to [-1, 1].
        variance: whether the steps are of the variances that the network says.
    """

    def __init__(
        self,
        model: Network,
        plain: Step,
        limit: Callable[[Tensor], Tensor],
        variance: bool = False,
    ) -> None:
        self._model, self.plain = model, plain
        self._predict_x0, self._limit = denoiser(model, variance), limit
        self._guided = compiled(guided_step(self._predict_x0, self._limit))
        self._with_classifier = compiled(classifier_step(self._predict_x0, self._limit))
        self._weaker: dict[Network, Step] = {}

    def walk(
        self,
        config: SamplingConfig,
        levels: Table,
        condition: NDArray[Any] | None,
        weak: Network | None = None,
        classifier: Classifier | None = None,
        negative: NDArray[Any] | None = None,
    ) -> Step:
        """A step for one walk, which takes what that without guidance takes.

        Args:
            config: its options.
            levels: (n, K), the numbers of the times at which it is called, in that order.
            condition: (B, ...), what is asked for.
            weak: a weaker network, which gives the other estimate.
            classifier: instead of another estimate.
            negative: (...), what the other estimate is told in place of ``condition``, where that
                is no class.

        Raises:
            ValueError: nothing to be guided by, a negative condition of another shape, a weaker
                network of other items, or a classifier where nothing is left of x_0.
        """
        if weak is not None:
            self._check(weak)
        guide = self._by_classifier(config, levels, classifier) if classifier else None
        if guide is None and config.guides:
            told = self._model.config.takes_condition
            if weak is None and not told and (negative is None or condition is None):
                raise ValueError(
                    f"cond_scale {config.cond_scale} needs a network with classes, a weaker one, "
                    "a classifier or a negative condition: leave it at 1"
                )
            guide = self._by_another(config, condition, weak, negative)
        if guide is None:
            return self.plain
        wanted = iter(inside(levels, config.guidance_interval))

        def step(*given: Any) -> Any:
            return (guide if next(wanted) else self.plain)(*given)

        return step

    def _check(self, weak: Network) -> None:
        for name in ("channels", "num_classes", "cond_channels", "rank"):
            own, other = getattr(self._model.config, name), getattr(weak.config, name)
            if own != other:
                raise ValueError(
                    f"weak has {name} {other}, and the network that it guides {own}: give a "
                    "network of the same data"
                )

    def _by_another(
        self,
        config: SamplingConfig,
        condition: NDArray[Any] | None,
        weak: Network | None,
        negative: NDArray[Any] | None,
    ) -> Step:
        device_step, numbers = self._guided, _scalars(numbers_of(config))
        if weak is not None and weak not in self._weaker:
            # A graph of its own: its parameters have the same names.
            self._weaker[weak] = compiled(denoiser(weak))
        by = None if weak is None else self._weaker[weak]
        told = condition
        if weak is None and condition is not None:
            nothing = self._nothing(condition, negative)
            told = np.concatenate((condition, nothing))
        known = None if told is None else Tensor(told)
        running: Tensor | None = None

        def step(x, levels, noise, _, shown, *rest):  # type: ignore[no-untyped-def]
            nonlocal running
            running = ops.zeros_like(x) if running is None else running
            other = None if by is None else by(x, levels, known, shown)
            given = (x, levels, noise, known, shown, *rest, running, numbers, other)
            *moved, running = device_step(*given)
            return tuple(moved)

        return step

    def _nothing(self, condition: NDArray[Any], negative: NDArray[Any] | None) -> NDArray[Any]:
        if negative is None:
            return np.full_like(condition, self._model.config.null_condition)
        if np.shape(negative) != condition.shape[1:]:
            raise ValueError(
                f"negative of shape {np.shape(negative)} must be {condition.shape[1:]}, as the "
                "condition of one item"
            )
        return np.broadcast_to(negative, condition.shape).astype(condition.dtype)

    def _by_classifier(self, config: SamplingConfig, levels: Table, classifier: Classifier) -> Step:
        if not np.all(levels[:, SIGNAL] > 0.0):
            raise ValueError(
                "classifier cannot guide at a step where nothing is left of x_0: train without "
                "zero_terminal_snr, or choose other steps"
            )
        device_step, scale = self._with_classifier, Tensor(config.cond_scale, ms.float32)

        def total(x_t: Tensor, t: Tensor) -> Tensor:
            return classifier(x_t, t).sum()

        # Outside of the graph, where Python may do whatever it likes: a graph takes what it cannot
        # differentiate for a constant, and says nothing.
        gradient = ms.grad(total)

        def step(x: Tensor, levels: Tensor, *rest: Any) -> Any:
            return device_step(x, levels, *rest, scale, gradient(x, levels[:, TIME] + 1.0))

        return step


def inside(levels: Table, interval: tuple[float, float] | None) -> NDArray[np.bool_]:
    """At which of the times noise / signal is above the first and not above the second: (n,)."""
    if interval is None:
        return np.ones(len(levels), bool)
    low, high = interval
    signal, noise = levels[:, SIGNAL], levels[:, NOISE]
    found: NDArray[np.bool_] = (noise > low * signal) & (noise <= high * signal)
    return found


def _scalars(values: tuple[float, ...]) -> Any:
    return ms.mutable(tuple(Tensor(value, ms.float32) for value in values))
