"""A training step against the same step written out plainly, and the laws it obeys."""

from __future__ import annotations

from dataclasses import replace

import autograd
import autograd.numpy as anp
import numpy as np
import pytest

from ddpm_mindspore.reference.networks.unet import UnetConfig, init, unet
from ddpm_mindspore.reference.process import q_sample
from ddpm_mindspore.reference.schedule import make_schedule
from ddpm_mindspore.reference.training import (
    MicroBatch,
    TrainingConfig,
    initial_state,
    training_loss,
    training_step,
    value_and_grad,
)

SCHEDULE = make_schedule("cosine", 20)
NET = UnetConfig(dim=4, dim_mults=(1, 2), channels=1, attn_heads=1, attn_dim_head=4)
SELF = replace(NET, self_condition=True)


def micro_batch(seed, b=3, net=NET, **extra):
    rng = np.random.default_rng(seed)
    shape = (b, net.channels, 4, 6)
    x_0 = rng.uniform(-1.0, 1.0, shape)
    return MicroBatch(x_0, rng.integers(1, 21, b), rng.standard_normal(shape), **extra)


def start(net=NET, seed=0):
    return initial_state(init(net, np.random.default_rng(seed)))


def plain_loss(params, batch, net=NET):
    """Mean square error of v, from the definition of x_t and v."""
    total = 0.0
    for i, t in enumerate(batch.t):
        a = np.prod(1.0 - SCHEDULE.beta[1 : t + 1])
        x_0, noise = batch.x_0[i : i + 1], batch.noise[i : i + 1]
        x_t = np.sqrt(a) * x_0 + np.sqrt(1 - a) * noise
        v = np.sqrt(a) * noise - np.sqrt(1 - a) * x_0
        total = total + anp.sum((unet(params, net, x_t, np.array([t - 1.0])) - v) ** 2)
    return total / batch.x_0.size


def test_three_steps_are_what_the_papers_say():
    config = TrainingConfig(
        lr=1e-2, warmup_steps=2, max_grad_norm=0.3, ema_update_every=2, ema_update_after_step=0
    )
    state = start()
    params, ema = dict(state.params), dict(state.params)
    m = {name: np.zeros(p.shape) for name, p in params.items()}
    v = {name: np.zeros(p.shape) for name, p in params.items()}
    for step in (1, 2, 3):
        batches = [micro_batch(10 * step), micro_batch(10 * step + 1)]
        state, loss, grad_norm = training_step(state, config, NET, SCHEDULE, batches)
        assert loss == pytest.approx(np.mean([plain_loss(params, b) for b in batches]), rel=1e-11)
        each = [autograd.grad(plain_loss)(params, b) for b in batches]
        grads = {name: (each[0][name] + each[1][name]) / 2 for name in params}
        norm = np.sqrt(sum(np.sum(g**2) for g in grads.values()))
        assert norm > 0.3  # so that clipping is at work
        assert grad_norm == pytest.approx(norm, rel=1e-10)
        for name, g in grads.items():
            g = g * 0.3 / (norm + 1e-6)
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.99 * v[name] + 0.01 * g**2
            lr = 5e-3 if step == 1 else 1e-2
            m_hat, v_hat = m[name] / (1 - 0.9**step), v[name] / (1 - 0.99**step)
            params[name] = params[name] - lr * m_hat / (np.sqrt(v_hat) + 1e-8)
            if step == 1:
                ema[name] = params[name]
            if step == 3:
                w = 1 - 3 ** (-2 / 3)
                ema[name] = w * ema[name] + (1 - w) * params[name]
        assert state.step == step
        for name in params:
            np.testing.assert_allclose(state.m[name], m[name], rtol=1e-8, atol=1e-14)
            np.testing.assert_allclose(state.v[name], v[name], rtol=1e-8, atol=1e-18)
            np.testing.assert_allclose(state.params[name], params[name], rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(state.ema[name], ema[name], rtol=1e-7, atol=1e-9)


def test_micro_batches_do_what_one_batch_does():
    whole = micro_batch(1, b=6)
    parts = [MicroBatch(*(a[i : i + 2] for a in whole[:3])) for i in (0, 2, 4)]
    one, loss_1, norm_1 = training_step(start(), TrainingConfig(), NET, SCHEDULE, [whole])
    two, loss_2, norm_2 = training_step(start(), TrainingConfig(), NET, SCHEDULE, parts)
    assert loss_1 == pytest.approx(loss_2, rel=1e-12)
    assert norm_1 == pytest.approx(norm_2, rel=1e-11)
    for name, m in one.m.items():
        np.testing.assert_allclose(m, two.m[name], rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("objective", ["pred_noise", "pred_x0", "pred_v"])
def test_steps_lower_the_loss_on_a_small_set(objective):
    config = TrainingConfig(lr=1e-2, objective=objective)
    batch, state, losses = micro_batch(2), start(), []
    for _ in range(12):
        state, loss, _ = training_step(state, config, NET, SCHEDULE, [batch])
        losses.append(loss)
    assert losses[-1] < 0.7 * losses[0]
    assert training_loss(state.params, config, NET, SCHEDULE, batch) < losses[-1]


def test_loss_weights_and_loss_types_are_used():
    params, batch = start().params, micro_batch(3)

    def loss(**options):
        return float(training_loss(params, TrainingConfig(**options), NET, SCHEDULE, batch))

    options = [
        {},
        {"loss_type": "l1"},
        {"loss_type": "huber"},
        {"min_snr_loss_weight": True},
        {"min_snr_loss_weight": True, "min_snr_gamma": 1e-2},
        {"p2_loss_weight_gamma": 1.0},
        {"p2_loss_weight_gamma": 1.0, "p2_loss_weight_k": 3.0},
    ]
    values = [loss(**o) for o in options]
    assert len({round(value, 9) for value in values}) == len(values)
    snr = SCHEDULE.snr[batch.t]
    each = [plain_loss(params, MicroBatch(*(a[i : i + 1] for a in batch[:3]))) for i in range(3)]
    weighted = np.mean(each * np.minimum(snr, 5.0) / (snr + 1.0))
    assert values[3] == pytest.approx(weighted, rel=1e-10)


def test_self_conditioning_feeds_back_the_first_estimate_where_the_mask_is_1():
    state = start(SELF)
    batch = micro_batch(4, net=SELF, self_cond_mask=np.array([True, False, True]))
    config = TrainingConfig(objective="pred_x0")
    a = SCHEDULE.alpha_bar[batch.t].reshape(-1, 1, 1, 1)
    x_t = np.sqrt(a) * batch.x_0 + np.sqrt(1 - a) * batch.noise
    x0_hat = unet(state.params, SELF, x_t, batch.t - 1)
    condition = x0_hat * np.array([1.0, 0.0, 1.0]).reshape(-1, 1, 1, 1)

    def plain(params):
        return anp.mean((unet(params, SELF, x_t, batch.t - 1, condition) - batch.x_0) ** 2)

    value, grads = value_and_grad(
        lambda p: training_loss(p, config, SELF, SCHEDULE, batch), state.params
    )
    expected, expected_grads = value_and_grad(plain, state.params)
    assert value == pytest.approx(expected, rel=1e-12)
    for name, g in expected_grads.items():  # the estimate is a constant: no gradient through it
        np.testing.assert_allclose(grads[name], g, rtol=1e-8, atol=1e-14)
    unmasked = batch._replace(self_cond_mask=None)
    assert training_loss(state.params, config, SELF, SCHEDULE, unmasked) != pytest.approx(value)


def test_dropout_masks_reach_the_network_but_not_the_first_estimate():
    net = replace(SELF, dropout=0.5)
    rng = np.random.default_rng(0)
    masks = [rng.random((3, *s)) < 0.5 for s in net.dropout_shapes((4, 6))]
    state, config = start(net), TrainingConfig(objective="pred_x0")
    batch = micro_batch(5, net=net, self_cond_mask=np.ones(3), dropout_masks=masks)
    x_t = q_sample(SCHEDULE, batch.x_0, batch.t, batch.noise)
    x0_hat = unet(state.params, net, x_t, batch.t - 1)
    output = unet(state.params, net, x_t, batch.t - 1, x0_hat, masks)
    actual = training_loss(state.params, config, net, SCHEDULE, batch)
    assert actual == pytest.approx(np.mean((output - batch.x_0) ** 2), rel=1e-12)
    kept = batch._replace(dropout_masks=None)
    assert training_loss(state.params, config, net, SCHEDULE, kept) != pytest.approx(actual)


@pytest.mark.parametrize("objective", ["pred_noise", "pred_v"])
@pytest.mark.parametrize("loss_type", ["l1", "l2"])
def test_float32_states_stay_float32(objective, loss_type):
    config = TrainingConfig(
        objective=objective, loss_type=loss_type, ema_update_every=1, ema_update_after_step=0
    )
    params = {name: p.astype(np.float32) for name, p in start(SELF).params.items()}
    x_0, t, noise, *_ = micro_batch(6, net=SELF)
    batch = MicroBatch(x_0.astype(np.float32), t, noise.astype(np.float32), np.array([1, 0, 1]))
    state, *_ = training_step(initial_state(params), config, SELF, SCHEDULE, [batch, batch])
    for arrays in (state.params, state.m, state.v, state.ema):
        assert {a.dtype for a in arrays.values()} == {np.dtype(np.float32)}


def test_random_fourier_features_are_never_trained():
    net = replace(NET, random_fourier_features=True, learned_sinusoidal_dim=4)
    before = start(net)
    after, *_ = training_step(before, TrainingConfig(), net, SCHEDULE, [micro_batch(7)])
    same = {name for name, p in before.params.items() if np.array_equal(p, after.params[name])}
    assert same == {"time_mlp.0.weights"}


def test_value_and_grad_is_autograds():
    params = {"a": np.array([[1.0, 2.0]]), "b": np.array([3.0])}

    def function(p):
        return anp.sum(p["a"] * p["b"]) ** 2

    value, grads = value_and_grad(function, params)
    expected = autograd.grad(function)(params)
    assert value == 81.0
    assert {name: g.tolist() for name, g in grads.items()} == {
        name: g.tolist() for name, g in expected.items()
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "lr 0.0 must be positive"),
        ({"adam_eps": 0.0}, "adam_eps 0.0 must be positive"),
        ({"max_grad_norm": -1.0}, "max_grad_norm -1.0 must be positive"),
        ({"ema_update_every": 0}, "ema_update_every 0 must be at least 1"),
        ({"warmup_steps": -1}, "warmup_steps -1 must not be negative"),
        ({"ema_update_after_step": -1}, "ema_update_after_step -1 must not be negative"),
        ({"adam_betas": (0.9, 1.0)}, r"adam_betas \(0.9, 1.0\) must be"),
        ({"ema_decay": 1.5}, "ema_decay 1.5 must be from 0 to 1"),
    ],
)
def test_numbers_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**options)


def test_arguments_that_do_not_fit_are_named():
    config = TrainingConfig()
    with pytest.raises(ValueError, match="micro_batches is empty"):
        training_step(start(), config, NET, SCHEDULE, [])
    twice = replace(NET, out_dim=2)
    with pytest.raises(ValueError, match=r"the network returns 2 channels for items of 1: .* 1,"):
        training_step(start(twice), config, twice, SCHEDULE, [micro_batch(8)])
    masked = micro_batch(8, self_cond_mask=np.ones(3))
    with pytest.raises(ValueError, match="self_condition=False"):
        training_step(start(), config, NET, SCHEDULE, [masked])
    with pytest.raises(ValueError, match="objective 'pred_y' is unknown"):
        training_step(start(), TrainingConfig(objective="pred_y"), NET, SCHEDULE, [micro_batch(8)])
