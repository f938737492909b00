"""One update on both sides, taken apart into its formulas.

The device does an update in one piece: clipping, Adam, decay, averages. Gradients and scalars that
leave all but one formula without effect take it apart. Each method returns an error as a share of
its bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor

from ...accelerated import optimizer as accelerated
from ...accelerated.batch import MicroBatch
from ...accelerated.training import TrainStep
from ...reference import ema
from ...reference import optimizer as reference
from ...reference.training import TrainingConfig
from ..judgement.tolerance import Arrays, deep
from . import device, network
from .device import Array


class Update:
    """One update on both sides, from moments that are not zero."""

    def __init__(
        self,
        config: TrainingConfig,
        starts: Arrays,
        gradient: Arrays,
        step: int,
        ema_sigma_rels: Sequence[float],
    ) -> None:
        self.config, self.step, self.widths = config, step, tuple(ema_sigma_rels)
        names = list(starts)
        rng = np.random.default_rng(1)

        def drawn(scale: float) -> Arrays:
            return {
                n: (scale * rng.standard_normal(starts[n].shape)).astype(np.float32) for n in names
            }

        self.names, self.starts = names, starts
        length = reference.global_norm(gradient)
        usual = {n: g / np.float32(length or 1.0) for n, g in gradient.items()}
        most = np.float32(config.max_grad_norm)
        self.short = {n: np.float32(0.1) * most * g for n, g in usual.items()}
        self.long = {n: np.float32(7.0) * most * g for n, g in usual.items()}
        size = config.max_grad_norm / np.sqrt(sum(g.size for g in usual.values()))
        self.m = drawn(0.3 * size)
        self.v = {n: (x * x + np.float32(0.1 * size**2)) for n, x in drawn(size).items()}
        self.ema = drawn(1.0)

    def scalars(self) -> float:
        """lr sqrt(1 - beta_2^n) / (1 - beta_1^n), and eps times that root."""
        shares = []
        for step, skipped in ((self.step, 0), (self.step + 2, 2), (self.step + 1, 1)):
            made = network.step_scalars(self.config, step, self.widths, skipped=skipped)
            n = step - skipped
            root = np.sqrt(1.0 - self.config.adam_betas[1] ** n)
            rate = self.config.learning_rate(step)
            bias = root / (1.0 - self.config.adam_betas[0] ** n)
            shares.append(_share(made.lr, rate * bias, 1e-10 * rate * bias))
            shares.append(_share(made.eps, self.config.adam_eps * root, 1e-10))
        return max(shares)

    def norm(self) -> float:
        shares = []
        for gradient in (self.short, self.long):
            length = reference.global_norm({n: g.astype(np.float64) for n, g in gradient.items()})
            bound = 2.0**-24 * (self._count() + 4) * length
            shares.append(_share(float(self._device(gradient)["norm"]), length, bound))
        return max(shares)

    def clipping(self) -> float:
        """Whether another factor for each tensor explains both moments, where ours does not."""
        for gradient in (self.short, self.long):
            actual, expected, bounds = self._both(gradient)
            beta_1, beta_2 = self.config.adam_betas
            for name in self.names:
                m, v = f"m {name}", f"v {name}"
                share = max(_share(actual[k], expected[k], bounds[k]) for k in (m, v))
                if share <= 1.0:
                    continue
                g = gradient[name].astype(np.float64)
                part = (actual[m] - beta_1 * self.m[name]) / (1.0 - beta_1)
                factor = float(np.sum(part * g) / np.sum(g * g))
                seen_m = beta_1 * self.m[name] + (1.0 - beta_1) * factor * g
                seen_v = beta_2 * self.v[name] + (1.0 - beta_2) * (factor * g) ** 2
                loose = 1e-4 * max(1.0, factor**2)
                same_m = np.allclose(actual[m], seen_m, 0.0, loose * np.max(np.abs(seen_m)))
                same_v = np.allclose(actual[v], seen_v, 0.0, loose * np.max(np.abs(seen_v)))
                if same_m and same_v:
                    return share
        return 0.0

    def moments(self) -> float:
        return self._worst("m", "v")

    def adam(self) -> float:
        return self._worst("params", weight_decay=0.0)

    def decay(self) -> float:
        return self._worst("params")

    def average(self) -> float:
        """Where it moves: an update at which it stays shows nothing."""
        c = self.config
        options = (c.ema_decay, c.ema_update_every, c.ema_update_after_step)
        steps = range(self.step, self.step + 400)
        moving = (s for s in steps if 0.0 < reference.ema_weight(s, *options) < 1.0)
        step = next(moving, next((s for s in steps if reference.ema_weight(s, *options) < 1.0), 1))
        return self._worst("ema", step=step)

    def left_out(self) -> float:
        """A gradient with a NaN, after which everything is as it was."""
        spoiled = {n: g.copy() for n, g in self.short.items()}
        spoiled[self.names[0]].flat[0] = np.nan
        after, groups = self._device(spoiled), self._groups(self.short)
        changes = [
            np.max(np.abs(after[f"{group} {name}"] - groups[group][name]))
            for group in ("params", "m", "v", "ema")
            for name in self.names
        ]
        return 0.0 if np.max(changes) == 0.0 else float("inf")

    def powers(self) -> float:
        return self._worst(*(f"power {width}" for width in self.widths), step=self.step + 3)

    def _worst(self, *groups: str, step: int = 0, **changes: Any) -> float:
        shares = []
        for gradient in (self.short, self.long):
            actual, expected, bounds = self._both(gradient, step, **changes)
            shares += [
                _share(actual[name], expected[name], bounds[name])
                for name in expected
                if name.startswith(tuple(f"{group} " for group in groups))
            ]
        return max(shares)

    def _both(
        self, gradient: Arrays, step: int = 0, **changes: Any
    ) -> tuple[Arrays, Arrays, dict[str, float]]:
        step, config = step or self.step, replace(self.config, **changes)
        inputs = {
            f"{group} {name}": array
            for group, arrays in self._groups(gradient).items()
            for name, array in arrays.items()
        }
        expected, bounds = deep(lambda a: self._reference(a, config, step), inputs)
        return self._device(gradient, step, config), expected, bounds

    def _groups(self, gradient: Arrays) -> dict[str, Arrays]:
        return {"g": gradient, "params": self.starts, "m": self.m, "v": self.v, "ema": self.ema}

    def _reference(self, arrays: Arrays, config: TrainingConfig, step: int) -> Arrays:
        def of(group: str) -> Arrays:
            return {name: arrays[f"{group} {name}"] for name in self.names}

        clipped, _ = reference.clip_by_global_norm(of("g"), config.max_grad_norm)
        options = config.adam_betas, config.adam_eps, config.weight_decay
        rate = config.learning_rate(step)
        after = reference.adam_step(of("params"), clipped, of("m"), of("v"), step, rate, *options)
        params, m, v = after
        weight = reference.ema_weight(
            step, config.ema_decay, config.ema_update_every, config.ema_update_after_step
        )
        groups: dict[str, Mapping[str, Array]] = {"params": params, "m": m, "v": v}
        groups["ema"] = reference.ema_update(of("ema"), params, weight)
        for width in self.widths:
            share = ema.power_weight(step, width)
            groups[f"power {width}"] = reference.ema_update(of("ema"), params, share)
        return {f"{group} {n}": x for group, arrays in groups.items() for n, x in arrays.items()}

    def _device(
        self, gradient: Arrays, step: int = 0, config: TrainingConfig | None = None
    ) -> Arrays:
        step, config = step or self.step, config or self.config
        tensors = [Parameter(Tensor(self.starts[name]), name=name) for name in self.names]
        options = network.optimizer_options(config, self.widths)
        optimizer = accelerated.Optimizer(tensors, options)
        flat = {group: optimizer.as_vector(a) for group, a in self._groups(gradient).items()}
        powers = dict.fromkeys(optimizer.power_names, flat["ema"])
        optimizer.restore({**{k: flat[k] for k in ("params", "m", "v", "ema")}, **powers})
        scalars = accelerated.step_scalars(step, options).tensors()
        norm = optimizer.update((Tensor(flat["g"]),), Tensor(np.float32(0.0)), *scalars)
        results: Arrays = {"norm": device.arrays(norm)}
        for group, vector in optimizer.vectors().items():
            name = group
            if group in optimizer.power_names:
                name = f"power {self.widths[optimizer.power_names.index(group)]}"
            for parameter, array in optimizer.by_name(vector).items():
                results[f"{name} {parameter}"] = array
        return results

    def _count(self) -> int:
        return sum(array.size for array in self.starts.values())


def accumulated(gradient: Arrays, count: int) -> float:
    """Mean loss and norm of ``count`` given gradients, twice: nothing may be left of the first."""
    flat = np.concatenate([g.ravel() for g in gradient.values()])
    parts = [(flat * np.float32(i + 1)).reshape(1, 1, 1, -1) for i in range(count)]
    parameter = Parameter(Tensor(np.zeros_like(flat)), name="0.weight")
    other = Parameter(Tensor(np.zeros(1, np.float32)), name="1.bias")
    both = [parameter, other]
    still = TrainingConfig(lr=1e-30, max_grad_norm=1e30)
    optimizer = accelerated.Optimizer(both, network.optimizer_options(still))

    def loss(x_0, t, noise, self_cond_mask, masks, condition):  # type: ignore[no-untyped-def]
        # Its derivative by the parameter is the gradient that is given, its value the noise.
        return (parameter * x_0.reshape(-1)).sum() + (0.0 * other).sum() + noise.sum()

    shares = []
    with device.eager():
        step = TrainStep(loss, optimizer, count)
        for number in (1, 2):
            batches = [
                MicroBatch(
                    part,
                    np.ones(1, np.int32),
                    np.full((1, 1, 1, 1), i + 1.0, np.float32),
                    np.zeros(1, bool),
                )
                for i, part in enumerate(parts)
            ]
            value, norm = device.arrays(step(batches, network.step_scalars(still, number)))
            mean = (count + 1) / 2.0
            length = mean * float(np.linalg.norm(flat.astype(np.float64)))
            shares.append(_share(value, mean, 1e-5 * mean))
            shares.append(_share(norm, length, 2.0**-24 * (flat.size + 16) * length))
    return max(shares)


def _share(actual: Any, expected: Any, bound: float) -> float:
    error = np.max(np.abs(np.asarray(actual, np.float64) - expected), initial=0.0)
    if np.isnan(error):
        return float("inf")
    return float(error / bound) if error else 0.0
