"""Adam, clipping, warm-up and the running average against numbers worked out by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from ddpm_mindspore.reference.config import UnetConfig
from ddpm_mindspore.reference.networks.unet import param_shapes
from ddpm_mindspore.reference.optimizer import (
    adam_init,
    adam_step,
    clip_by_global_norm,
    decays,
    ema_update,
    ema_weight,
    global_norm,
    learning_rate,
)


def run_adam(grads, lr=0.1, betas=(0.5, 0.75), eps=0.25, p=1.0):
    params = {"p": np.array([p])}
    m, v = adam_init(params)
    for step, g in enumerate(grads, start=1):
        params, m, v = adam_step(params, {"p": np.array([g])}, m, v, step, lr, betas, eps)
    return params["p"][0], m["p"][0], v["p"][0]


def test_adam_by_hand():
    # Step 1: m = 1, v = 1, m_hat = 2, v_hat = 4. Step 2: m = -1.5, v = 4.75.
    p, m, v = run_adam([2.0])
    assert (m, v) == (1.0, 1.0)
    assert p == pytest.approx(1.0 - 0.1 * 2.0 / (2.0 + 0.25), rel=1e-15)
    p_2, m, v = run_adam([2.0, -4.0])
    assert (m, v) == (-1.5, 4.75)
    m_hat, v_hat = -1.5 / (1 - 0.5**2), 4.75 / (1 - 0.75**2)
    assert p_2 == pytest.approx(p - 0.1 * m_hat / (math.sqrt(v_hat) + 0.25), rel=1e-15)


def test_bias_correction_makes_the_first_step_the_learning_rate():
    for g in (1e-3, -7.0, 1e6):
        p, *_ = run_adam([g], lr=0.01, betas=(0.9, 0.999), eps=1e-12)
        assert p == pytest.approx(1.0 - math.copysign(0.01, g), rel=1e-9)


def test_eps_stands_outside_the_root():
    # With g = eps the step is lr / 2; under the root it would be lr / sqrt(1 + 1 / eps).
    p, *_ = run_adam([1e-8], lr=1.0, betas=(0.9, 0.99), eps=1e-8, p=0.0)
    assert p == pytest.approx(-0.5, rel=1e-9)


def test_adam_leaves_its_arguments_alone_and_needs_a_first_step():
    params = {"a": np.ones(3), "b": np.ones((1, 2), np.float32)}
    m, v = adam_init(params)
    grads = {name: np.full_like(p, 2.0) for name, p in params.items()}
    new, new_m, new_v = adam_step(params, grads, m, v, 1, 0.1)
    assert all(np.all(p == 1.0) for p in params.values())
    assert all(np.all(a == 0.0) for a in (*m.values(), *v.values()))
    for name, p in params.items():
        assert new[name].dtype == new_m[name].dtype == new_v[name].dtype == p.dtype
        assert new[name].shape == p.shape
    with pytest.raises(ValueError, match="step 0 is less than 1"):
        adam_step(params, grads, m, v, 0, 0.1)


def test_clipping_scales_all_gradients_by_one_factor():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    assert global_norm(grads) == 5.0
    clipped, norm = clip_by_global_norm(grads, 1.0)
    assert norm == 5.0
    np.testing.assert_allclose(clipped["a"], np.array([3.0, 0.0]) / 5.000001, rtol=1e-15)
    np.testing.assert_allclose(clipped["b"], [[4.0 / 5.000001]], rtol=1e-15)


@pytest.mark.parametrize("max_norm", [5.1, math.inf])
def test_clipping_leaves_small_gradients_as_they_are(max_norm):
    grads = {"a": np.array([3.0]), "b": np.array([4.0], np.float32)}
    clipped, norm = clip_by_global_norm(grads, max_norm)
    assert norm == 5.0
    for name, g in grads.items():
        assert np.array_equal(clipped[name], g)
        assert clipped[name].dtype == g.dtype


def test_clipping_to_nothing_is_refused():
    with pytest.raises(ValueError, match=r"max_norm 0.0 must be positive"):
        clip_by_global_norm({"a": np.ones(1)}, 0.0)


def test_learning_rate_climbs_to_its_value():
    assert [learning_rate(s, 0.8, 4) for s in (1, 2, 3, 4, 5, 400)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 0.8, 0.8], rel=1e-15
    )
    assert learning_rate(1, 0.8) == 0.8


def test_ema_weight_copies_after_the_first_step_then_leaves_copies_and_warms_up():
    assert [ema_weight(s) for s in (1, 11, 51, 101)] == [0.0] * 4
    assert [ema_weight(s) for s in (2, 9, 10, 12, 100, 110)] == [1.0] * 6
    assert ema_weight(111) == pytest.approx(1 - 11 ** (-2 / 3), rel=1e-15)
    assert ema_weight(201) == pytest.approx(1 - 101 ** (-2 / 3), rel=1e-15)
    assert ema_weight(100_001) == 0.995
    assert ema_weight(1, 0.9, update_every=1, update_after_step=0) == 0.0
    assert ema_weight(2, 0.9, update_every=1, update_after_step=0) == pytest.approx(
        1 - 2 ** (-2 / 3), rel=1e-15
    )
    assert [ema_weight(s, 1.0) for s in (91, 101, 111, 10_001)] == [0.0, 0.0, 1.0, 1.0]
    with pytest.raises(ValueError, match="step 0 is less than 1"):
        ema_weight(0)


def ema_pytorch(weights, decay, every, after):
    """The rule of ema_pytorch 0.8.3, ``EMA.update``, on a sequence of scalars."""
    average = None
    for step, p in enumerate(weights):  # its counter is 0 in the first call
        if average is None or (step % every == 0 and step <= after):
            average = p
        elif step % every == 0 and decay != 1.0:
            epoch = max(step + 1 - after - 1, 0)
            beta = 0.0 if epoch <= 0 else min(max(1 - (1 + epoch) ** (-2 / 3), 0.0), decay)
            average = average + (1 - beta) * (p - average)
    return average


@pytest.mark.parametrize(
    ("decay", "every", "after"), [(0.9, 10, 100), (0.9, 1, 0), (0.9, 7, 15), (1.0, 10, 100)]
)
def test_ema_follows_ema_pytorch(decay, every, after):
    sequence = np.random.default_rng(0).standard_normal(400)
    ema = {"p": np.array([np.nan])}  # what it was before the first step is of no account
    for step in range(1, len(sequence)):
        p = {"p": sequence[step - 1 : step]}
        weight = ema_weight(step, decay, every, after)
        ema = p if weight == 0.0 else ema_update(ema, p, weight)
        theirs = ema_pytorch(sequence[:step], decay, every, after)
        assert ema["p"][0] == pytest.approx(theirs, rel=1e-12)


def test_ema_update_is_exact_at_both_ends():
    ema, params = {"p": np.array([0.1, 1 / 3])}, {"p": np.array([0.7, 1e-9])}
    assert np.array_equal(ema_update(ema, params, 1.0)["p"], ema["p"])
    assert np.array_equal(ema_update(ema, params, 0.0)["p"], params["p"])
    np.testing.assert_allclose(ema_update(ema, params, 0.75)["p"], [0.25, 0.25 + 2.5e-10])


def test_weight_decay_pulls_the_weights_of_layers_apart_from_the_gradient():
    # Decoupled: whatever the gradient's size, lr * weight_decay of the weight goes.
    params = {"a.weight": np.array([2.0]), "a.bias": np.array([2.0]), "norm.g": np.array([2.0])}
    grads = {name: np.array([g]) for name, g in zip(params, (1e3, 1e3, 0.0), strict=True)}
    m, v = adam_init(params)
    plain, *_ = adam_step(params, grads, m, v, 1, 0.1)
    decayed, new_m, new_v = adam_step(params, grads, m, v, 1, 0.1, weight_decay=0.5)
    assert decayed["a.weight"] == pytest.approx(plain["a.weight"] - 0.1 * 0.5 * 2.0, rel=1e-15)
    assert decayed["a.bias"] == plain["a.bias"]
    assert decayed["norm.g"] == plain["norm.g"] == 2.0
    assert new_m["a.weight"] == pytest.approx(0.1 * 1e3)  # nothing of it in the moments
    assert new_v["a.weight"] == pytest.approx(0.01 * 1e6)


def test_what_decays_in_a_network():
    config = UnetConfig(dim=8, dim_mults=(1,), learned_sinusoidal_cond=True)
    names = param_shapes(config)
    decaying = {name for name in names if decays(name)}
    assert {"init_conv.weight", "time_mlp.1.weight", "final_conv.weight"} <= decaying
    rest = {name.rpartition(".")[2] for name in names if name not in decaying}
    assert rest == {"bias", "g", "mem_kv", "weights"}


def test_the_cosine_ends_at_its_floor():
    options = {"lr_schedule": "cosine", "train_num_steps": 14, "min_lr": 0.2}
    rates = [learning_rate(s, 1.0, 4, **options) for s in range(1, 21)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]  # warm-up, and the highest
    assert rates[8] == pytest.approx(0.6)  # half way: the mean of both ends
    assert rates[13] == pytest.approx(0.2) and rates[13:] == [rates[13]] * 7
    assert all(a > b for a, b in pairwise(rates[3:14]))
    # The same above and below the middle.
    for a, b in zip(rates[3:14], reversed(rates[3:14]), strict=True):
        assert a + b == pytest.approx(1.2)
    assert learning_rate(1, 1.0, 0, **options) < 1.0
    assert learning_rate(7, 1.0, 7, "cosine", 7, 0.1) == 1.0  # nothing but warm-up
    assert learning_rate(3, 0.8, 0, "constant", 10, 0.1) == 0.8


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="lr_schedule 'linear' is unknown: choose constant or"):
        learning_rate(1, 1.0, lr_schedule="linear")
