"""The optimiser over one vector: its scalars, its update, and taking it apart by name."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated import optimizer as optimizers
from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.optimizer import (
    Optimizer,
    flatten,
    step_scalars,
)
from ddpm_mindspore.reference.ema import power_weight
from ddpm_mindspore.reference.optimizer import ema_weight, learning_rate

BETAS = (0.9, 0.99)
OPTIONS = TrainerConfig(
    train_lr=1e-2,
    warmup_steps=3,
    adam_betas=BETAS,
    adam_eps=1e-3,
    ema_decay=0.7,
    ema_update_every=2,
    ema_update_after_step=2,
)


def test_the_scalars_hold_the_bias_correction() -> None:
    beta_1, beta_2 = (float(np.float32(beta)) for beta in BETAS)
    for step in (1, 2, 7, 10_000):
        scalars = step_scalars(step, OPTIONS)
        root = math.sqrt(1 - beta_2**step)
        rate = 1e-2 * min(1, step / 3)
        assert scalars.lr == pytest.approx(rate * root / (1 - beta_1**step), rel=1e-12)
        assert scalars.eps == pytest.approx(1e-3 * root, rel=1e-12)
        assert scalars.ema == pytest.approx(1 - ema_weight(step, 0.7, 2, 2), rel=1e-12)


def make(limit: float = 1.5) -> tuple[list[Parameter], Optimizer]:
    rng = np.random.default_rng(0)
    shapes = {"a": (2, 3), "b": (1,), "c": (4, 1, 1)}
    parameters = [
        Parameter(Tensor(rng.standard_normal(shape).astype(np.float32)), name=name)
        for name, shape in shapes.items()
    ]
    return parameters, Optimizer(parameters, replace(OPTIONS, max_grad_norm=limit))


def test_vectors_come_apart_by_name_and_go_back() -> None:
    parameters, optimizer = make()
    before = optimizer.vectors()
    named = optimizer.by_name(before["params"])
    for parameter in parameters:
        np.testing.assert_array_equal(named[parameter.name], parameter.asnumpy())
    more = {"not trained": np.zeros(3, np.float32)} | dict(reversed(named.items()))
    np.testing.assert_array_equal(optimizer.as_vector(more), before["params"])

    changed = {name: vector + np.float32(i + 1) for i, (name, vector) in enumerate(before.items())}
    optimizer.restore(changed)
    for name, vector in optimizer.vectors().items():
        np.testing.assert_array_equal(vector, changed[name], err_msg=name)
    for parameter in parameters:
        np.testing.assert_array_equal(parameter.asnumpy(), named[parameter.name] + 1)


def test_what_is_restored_is_what_a_compiled_update_goes_on_from() -> None:
    parameters, optimizer = make()

    def update(grad, *scalars):  # type: ignore[no-untyped-def]
        return optimizer.update((grad,), Tensor(0.0, ms.float32), *scalars)

    compiled = ms.jit(update)
    start = optimizer.vectors()
    grad = Tensor(np.linspace(-1, 1, 11).astype(np.float32))
    ends = []
    for _ in range(2):
        optimizer.restore(start)
        compiled(grad, *step_scalars(2, OPTIONS).tensors())
        ends.append(optimizer.vectors() | {"a": parameters[0].asnumpy()})
    for name, vector in ends[0].items():
        np.testing.assert_array_equal(vector, ends[1][name], err_msg=name)
    assert not np.allclose(ends[0]["params"], start["params"], atol=1e-3)


@pytest.mark.parametrize("limit", [1.5, math.inf])
def test_updates_are_adam_on_clipped_gradients_with_an_average(limit: float) -> None:
    """Against Algorithm 1 of arXiv 1412.6980, step by step in float64."""
    parameters, optimizer = make(limit)

    def update(grad, *scalars):  # type: ignore[no-untyped-def]
        return optimizer.update((grad,), Tensor(0.0, ms.float32), *scalars)

    compiled = ms.jit(update)
    lengths = []
    p = optimizer.vectors()["params"].astype(np.float64)
    m, v, ema = np.zeros_like(p), np.zeros_like(p), p.copy()
    rng = np.random.default_rng(1)
    for step in range(1, 7):
        grad = rng.standard_normal(p.size).astype(np.float32) * np.float32(0.2 * step)
        norm = compiled(Tensor(grad), *step_scalars(step, OPTIONS).tensors())
        length = float(np.linalg.norm(grad.astype(np.float64)))
        assert float(norm.asnumpy()) == pytest.approx(length, rel=1e-5)
        lengths.append(length)
        g = grad * min(1.0, limit / (length + 1e-6))
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        m_hat, v_hat = m / (1 - 0.9**step), v / (1 - 0.99**step)
        p = p - learning_rate(step, 1e-2, 3) * m_hat / (np.sqrt(v_hat) + 1e-3)
        weight = ema_weight(step, 0.7, 2, 2)
        ema = weight * ema + (1 - weight) * p
        for name, expected in {"params": p, "m": m, "v": v, "ema": ema}.items():
            got = optimizer.vectors()[name]
            np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-6, err_msg=name)
        for name, array in optimizer.by_name(optimizer.vectors()["params"]).items():
            (parameter,) = (q for q in parameters if q.name == name)
            np.testing.assert_array_equal(parameter.asnumpy(), array)
    assert not np.allclose(ema, p, atol=1e-4)
    assert min(lengths) < 1.5 < max(lengths)  # not clipped, and clipped


@pytest.mark.parametrize("count", [5, pytest.param(700, marks=pytest.mark.nightly)])
def test_any_number_of_parameters_is_cut_from_the_vector(
    monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """By MindSpore's own operators: it compiles no split into 700, as the published U-Net has."""
    monkeypatch.setattr(kernels, "in_use", lambda: False)
    if count == 5:
        monkeypatch.setattr(optimizers, "MANY", 2)
    parameters = [
        Parameter(Tensor(np.full(1 + i % 3, i, np.float32)), name=f"p{i}") for i in range(count)
    ]
    optimizer = Optimizer(parameters, OPTIONS)
    before = optimizer.own()

    def update(grad, *scalars):  # type: ignore[no-untyped-def]
        return optimizer.update((grad,), Tensor(0.0, ms.float32), *scalars)

    grad = np.linspace(0.1, 1.0, len(before)).astype(np.float32)
    ms.jit(update)(Tensor(grad), *step_scalars(1, OPTIONS).tensors()).asnumpy()
    after = optimizer.own()
    assert (after < before).all()
    np.testing.assert_array_equal(after, optimizer.params.asnumpy())


def test_flattening_keeps_the_order() -> None:
    arrays = [np.arange(6.0).reshape(2, 3), np.array([6.0]), np.arange(7.0, 11).reshape(4, 1, 1)]
    flat = flatten(tuple(Tensor(a.astype(np.float32)) for a in arrays))
    assert flat.asnumpy().tolist() == list(range(11)) and isinstance(flat, Tensor)


def test_the_scalars_hold_the_rate_of_the_step() -> None:
    options = replace(
        OPTIONS,
        train_lr=1.0,
        warmup_steps=4,
        lr_schedule="cosine",
        train_num_steps=14,
        min_lr=0.2,
        weight_decay=0.5,
        ema_sigma_rels=(0.1, 0.2),
    )
    scalars = step_scalars(9, options)
    assert scalars.rate == pytest.approx(0.6)
    assert scalars.decay == pytest.approx(0.3)
    assert scalars.powers == pytest.approx([1 - power_weight(9, s) for s in (0.1, 0.2)])
    assert len(scalars.tensors()) == 6


def test_weights_decay_and_longer_averages_move_within_the_update() -> None:
    shapes = {"a.weight": (2, 3), "a.bias": (2,), "norm.g": (1, 2, 1, 1)}
    parameters = [
        Parameter(Tensor(np.full(shape, 2.0, np.float32)), name=name)
        for name, shape in shapes.items()
    ]
    widths = (0.05, 0.2)
    options = replace(OPTIONS, weight_decay=0.5, ema_sigma_rels=widths)
    optimizer = Optimizer(parameters, options)

    def update(grad, *scalars):  # type: ignore[no-untyped-def]
        return optimizer.update((grad,), Tensor(0.0, ms.float32), *scalars)

    compiled = ms.jit(update)
    weight, averages = 2.0, dict.fromkeys(widths, 0.0)
    for step in range(1, 6):
        # No gradient: Adam does nothing, only the decay is left.
        compiled(Tensor(np.zeros(10, np.float32)), *step_scalars(step, options).tensors())
        weight *= 1 - 0.5 * learning_rate(step, 1e-2, 3)
        for width in widths:
            share = power_weight(step, width)
            averages[width] = share * averages[width] + (1 - share) * weight
    vectors = optimizer.vectors()
    assert list(vectors) == ["params", "m", "v", "ema", "ema_0_05", "ema_0_2"]
    np.testing.assert_allclose(vectors["params"], [weight] * 6 + [2.0] * 4, rtol=1e-6)
    for name, width in (("ema_0_05", 0.05), ("ema_0_2", 0.2)):
        expected = [averages[width]] * 6 + [2.0] * 4
        np.testing.assert_allclose(vectors[name], expected, rtol=1e-6)
    assert averages[0.05] != pytest.approx(averages[0.2], rel=1e-4)

    before = optimizer.vectors()
    bad = np.full(10, np.nan, np.float32)
    compiled(Tensor(bad), *step_scalars(6, options).tensors())
    for name, vector in optimizer.vectors().items():
        np.testing.assert_array_equal(vector, before[name], err_msg=name)
    changed = {name: vector + np.float32(1) for name, vector in before.items()}
    optimizer.restore(changed)
    for name, vector in optimizer.vectors().items():
        np.testing.assert_array_equal(vector, changed[name], err_msg=name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr_schedule": "linear"}, "lr_schedule 'linear' is unknown: choose constant or cosine"),
        ({"min_lr": 1e-6}, "min_lr 1e-06 is for lr_schedule cosine: choose that too"),
        (
            {"lr_schedule": "cosine", "min_lr": 1.0},
            "min_lr 1.0 must be at most train_lr, which is 0.0001",
        ),
        ({"lr_schedule": "cosine", "min_lr": -1.0}, "min_lr -1.0 must not be negative"),
        ({"weight_decay": -0.1}, "weight_decay -0.1 must not be negative"),
        ({"ema_sigma_rels": (0.05, 0.3)}, "ema_sigma_rels 0.3 must be above 0 and at most 0.28"),
        (
            {"ema_sigma_rels": (math.nan,)},
            "ema_sigma_rels (nan,) must be a tuple of finite numbers",
        ),
        ({"ema_sigma_rels": [0.1, 0.1]}, "hold one length twice"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        TrainerConfig(**options)
