"""The network against the package it is compatible with, and against central differences."""

from __future__ import annotations

import hashlib
import math

import autograd.core
import autograd.numpy as anp
import numpy as np
import pytest

from ddpm_mindspore.reference.networks.unet import (
    UnetConfig,
    init,
    param_shapes,
    unet,
)
from ddpm_mindspore.reference.training import value_and_grad

SIZE = (8, 4)

# Computed once with the Unet of denoising-diffusion-pytorch 2.3.4 in float64: how many parameters
# it has, a hash of their names and shapes in its order, and for the inputs made below the weighted
# sum of its output and the derivative of that sum in a fixed direction of all its parameters.
WITNESS = [
    ({"dim_mults": (1, 2)}, 141, "c2e0a20d7e6f3952", 5.02834893966811, -118.40074365674282),
    (
        {"dim_mults": (1, 2, 3), "channels": 3},
        193,
        "9632623e5728aa9a",
        -11.858498975806736,
        -617.8630034289876,
    ),
    (
        {"dim_mults": (1, 2), "channels": 2, "init_dim": 6, "out_dim": 5},
        141,
        "6a614507c8965983",
        -0.7712954575421944,
        -43.18008960114818,
    ),
    (
        {"dim_mults": (1, 2), "self_condition": True},
        141,
        "6bca67f1385c0aba",
        0.15428115433330458,
        18.63739332851101,
    ),
    (
        {"dim_mults": (2, 1), "learned_variance": True},
        141,
        "9b0985d96a269f54",
        3.1477684853558436,
        166.44312041525623,
    ),
    (
        {"dim_mults": (1, 2), "learned_sinusoidal_cond": True, "learned_sinusoidal_dim": 6},
        142,
        "33edd40de49e5678",
        1.258151068241074,
        -725.49022769572,
    ),
    (
        {"dim_mults": (1, 2), "random_fourier_features": True},
        142,
        "7083dc6d4d94022b",
        0.5169244680566262,
        31.216201981222337,
    ),
    (
        {"dim_mults": (1, 3), "sinusoidal_pos_emb_theta": 500.0},
        141,
        "d3ab840763e156a5",
        4.316755750644732,
        287.4284329544204,
    ),
    (
        {"dim_mults": (1, 2), "attn_dim_head": (4, 7), "attn_heads": (3, 2)},
        141,
        "fafc631446e18e89",
        5.465590279430625,
        29.161846668161083,
    ),
    (
        {"dim_mults": (1, 2), "full_attn": (True, False), "attn_heads": 2, "attn_dim_head": 5},
        141,
        "271e6709b94fc8b6",
        2.0814861537286755,
        12.097817182579512,
    ),
    (
        {"dim_mults": (1,), "dropout": 0.4},
        89,
        "062e0ed353c1fbe8",
        3.45446547342223,
        2126.1745348418835,
    ),
]
OPTIONS = [row[0] for row in WITNESS]


def config_of(options):
    return UnetConfig(**{"dim": 8, "channels": 1, **options})


def wave_parameters(config):
    """Parameters that are a formula: the witness was given the same."""
    params = {}
    for i, (name, shape) in enumerate(param_shapes(config).items()):
        wave = 0.3 * np.cos(i + 1.7 * np.arange(math.prod(shape))).reshape(shape)
        params[name] = wave + (1.0 if name.endswith(".g") else 0.0)
    return params


def wave_inputs(config, dtype=np.float64):
    """(x, time, x_self_cond, dropout_masks)."""
    shape = (2, config.channels, *SIZE)
    x = np.sin(np.arange(math.prod(shape))).reshape(shape).astype(dtype)
    learned = config.learned_sinusoidal_cond or config.random_fourier_features
    time = np.array([0.0, 7.0 if learned else 700.0])
    condition = masks = None
    if config.self_condition:
        condition = np.cos(1.3 * np.arange(x.size)).reshape(shape).astype(dtype)
    if config.dropout:
        masks = [
            (np.cos(i + 2.3 * np.arange(2 * math.prod(s))) > -0.3).reshape(2, *s)
            for i, s in enumerate(config.dropout_shapes(SIZE))
        ]
    return x, time, condition, masks


def weighted_sum(config, inputs):
    def function(params):
        out = unet(params, config, *inputs)
        weights = np.cos(np.arange(math.prod(out.shape))).reshape(out.shape)
        return anp.sum(out * weights.astype(out.dtype))

    return function


@pytest.mark.parametrize(("options", "count", "digest", "value", "slope"), WITNESS)
def test_the_peer_package_has_these_names_numbers_and_gradients(
    options, count, digest, value, slope
):
    config = config_of(options)
    shapes = param_shapes(config)
    text = "\n".join(f"{name} {shape}" for name, shape in shapes.items())
    assert len(shapes) == count
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest
    actual, grads = value_and_grad(
        weighted_sum(config, wave_inputs(config)), wave_parameters(config)
    )
    assert actual == pytest.approx(value, rel=1e-11)
    assert list(grads) == list(shapes)
    directional = sum(g.ravel() @ np.sin(np.arange(g.size)) for g in grads.values())
    assert directional == pytest.approx(slope, rel=1e-10)


@pytest.mark.parametrize("options", OPTIONS)
def test_float32_stays_float32(options, flowing):
    config = config_of(options)
    params = {name: p.astype(np.float32) for name, p in wave_parameters(config).items()}
    inputs = wave_inputs(config, np.float32)
    out = unet(params, config, *inputs)
    assert out.dtype == np.float32
    _, grads = value_and_grad(weighted_sum(config, inputs), params)
    assert {g.dtype for g in grads.values()} == {np.dtype(np.float32)}
    assert len(flowing) > 300
    assert {g.dtype for g in flowing} == {np.dtype(np.float32)}
    exact = unet(wave_parameters(config), config, *wave_inputs(config))
    assert 0.0 < np.abs(out - exact).max() < 1e-3


@pytest.fixture
def flowing(monkeypatch):
    """Every gradient that autograd passes back: at the end it would cast a float64 one down."""
    seen = []
    add = autograd.core.add_outgrads

    def spy(total, g):
        if isinstance(g, np.ndarray):
            seen.append(g)
        return add(total, g)

    monkeypatch.setattr(autograd.core, "add_outgrads", spy)
    return seen


def test_gradients_are_central_differences():
    options = {"dim_mults": (1, 2), "learned_sinusoidal_cond": True, "self_condition": True}
    config = config_of({**options, "attn_heads": 2, "attn_dim_head": 3})
    function, params = weighted_sum(config, wave_inputs(config)), wave_parameters(config)
    _, grads = value_and_grad(function, params)
    rng = np.random.default_rng(0)
    names = {}  # the last parameter of every kind: its name without the numbers
    for name in params:
        names["".join(c for c in name.replace("ups", "downs") if not c.isdigit())] = name
    assert len(names) > 30
    h = 1e-5
    for name in names.values():
        index = tuple(rng.integers(0, params[name].shape))
        at = {}
        for sign in (-1.0, 1.0):
            moved = params[name].copy()
            moved[index] += sign * h
            at[sign] = function({**params, name: moved})
        difference = (at[1.0] - at[-1.0]) / (2 * h)
        assert grads[name][index] == pytest.approx(difference, rel=1e-5, abs=1e-6), name


def test_only_random_fourier_features_get_no_gradient():
    for option in ("learned_sinusoidal_cond", "random_fourier_features"):
        config = config_of({"dim_mults": (1,), option: True})
        _, grads = value_and_grad(
            weighted_sum(config, wave_inputs(config)), wave_parameters(config)
        )
        frozen = {name for name, g in grads.items() if not np.any(g)}
        assert frozen == ({"time_mlp.0.weights"} if "random" in option else set())


def test_each_image_is_computed_on_its_own():
    config = config_of({"dim_mults": (1, 2)})
    params, (x, time, *_) = wave_parameters(config), wave_inputs(config)
    both = unet(params, config, x, time)
    for b in range(2):
        alone = unet(params, config, x[b : b + 1], time[b : b + 1])
        np.testing.assert_allclose(both[b : b + 1], alone, rtol=1e-11, atol=1e-12)


def test_no_self_condition_means_zeros():
    config = config_of({"dim_mults": (1,), "self_condition": True})
    params, (x, time, condition, _) = wave_parameters(config), wave_inputs(config)
    without = unet(params, config, x, time)
    assert np.array_equal(without, unet(params, config, x, time, np.zeros_like(x)))
    assert not np.allclose(without, unet(params, config, x, time, condition))


CLASSES = {"dim_mults": (1,), "num_classes": 3}


def test_a_class_is_added_to_the_time_embedding_of_its_image():
    config = config_of(CLASSES)
    params, (x, time, *_) = wave_parameters(config), wave_inputs(config)
    told = unet(params, config, x, time, condition=np.array([2, 3]))
    without = {name: p for name, p in params.items() if not name.startswith("classes_")}
    for b, label in enumerate((2, 3)):
        hidden = params["classes_mlp.0.weight"] @ params["classes_emb.weight"][label]
        hidden = hidden + params["classes_mlp.0.bias"]
        hidden = 0.5 * hidden * (1.0 + np.vectorize(math.erf)(hidden / math.sqrt(2.0)))
        shift = params["classes_mlp.2.weight"] @ hidden + params["classes_mlp.2.bias"]
        moved = {**without, "time_mlp.3.bias": without["time_mlp.3.bias"] + shift}
        same = unet(moved, config_of({"dim_mults": (1,)}), x[b : b + 1], time[b : b + 1])
        np.testing.assert_allclose(told[b : b + 1], same, rtol=1e-11, atol=1e-12)


def test_gradients_reach_the_rows_of_the_classes_that_are_there():
    config = config_of(CLASSES)
    x, time, *_ = wave_inputs(config)
    labels = np.array([0, 2])

    def function(params):
        return anp.sum(unet(params, config, x, time, condition=labels) ** 2)

    params = wave_parameters(config)
    _, grads = value_and_grad(function, params)
    rows = np.abs(grads["classes_emb.weight"]).sum(axis=1)
    assert np.all(rows[[0, 2]] > 0.0) and np.all(rows[[1, 3]] == 0.0)
    for name in ("classes_emb.weight", "classes_mlp.0.weight", "classes_mlp.2.bias"):
        at, h = {}, 1e-5
        for sign in (-1.0, 1.0):
            moved = params[name].copy()
            moved[0] += sign * h
            at[sign] = function({**params, name: moved})
        difference = (at[1.0] - at[-1.0]) / (2 * h)
        assert np.sum(grads[name][0]) == pytest.approx(difference, rel=1e-5, abs=1e-6), name


def test_float32_stays_float32_with_classes(flowing):
    config = config_of(CLASSES)
    params = {name: p.astype(np.float32) for name, p in wave_parameters(config).items()}
    x, time, *_ = wave_inputs(config, np.float32)
    inputs = (x, time, None, None, np.array([1, 3], np.int32))
    assert unet(params, config, *inputs).dtype == np.float32
    value_and_grad(weighted_sum(config, inputs), params)
    assert {g.dtype for g in flowing} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("options", "condition", "message"),
    [
        (CLASSES, None, "condition is missing: give each image's class, 0 to 2, or 3 for none"),
        (CLASSES, [0, 4], "condition 4 is no class: they are 0 to 2, and 3 stands for none"),
        (CLASSES, [-1, 0], "condition -1 is no class"),
        (CLASSES, [0.0, 1.0], r"dtype float64: give integers \(2,\)"),
        (CLASSES, [0], r"condition has shape \(1,\)"),
        ({"dim_mults": (1,)}, [0, 0], "condition is given, but the network has num_classes=None"),
    ],
)
def test_conditions_that_do_not_fit_are_named(options, condition, message):
    config = config_of(options)
    x, time, *_ = wave_inputs(config)
    given = None if condition is None else np.array(condition)
    with pytest.raises(ValueError, match=message):
        unet(wave_parameters(config), config, x, time, condition=given)


def test_integer_times_are_the_same_times():
    config = config_of({"dim_mults": (1,)})
    params, (x, time, *_) = wave_parameters(config), wave_inputs(config)
    assert np.array_equal(
        unet(params, config, x, time), unet(params, config, x, time.astype(np.int64))
    )


def test_dropout_shapes_follow_the_u():
    config = UnetConfig(dim=8, dim_mults=(1, 2, 3), init_dim=6)
    down, inner = [(6, 8, 4), (8, 4, 2), (16, 2, 1)], (24, 2, 1)
    up = [(24, 2, 1), (16, 4, 2), (8, 8, 4)]
    pairs = [shape for shape in (*down, inner, *up) for _ in range(2)]
    assert config.dropout_shapes(SIZE) == [*pairs, (6, 8, 4)]
    params, x = init(config, np.random.default_rng(0)), np.ones((2, 3, *SIZE))
    masks = [np.ones((2, *shape)) for shape in config.dropout_shapes(SIZE)]
    whole = unet(params, config, x, np.zeros(2))
    assert np.array_equal(unet(params, config, x, np.zeros(2), None, masks), whole)
    for mask in masks:  # every one of them is used
        mask[:] = 0.0
        assert not np.allclose(unet(params, config, x, np.zeros(2), None, masks), whole)
        mask[:] = 1.0


def test_init_draws_within_the_fan_in_bounds_and_repeats():
    config = config_of({"dim_mults": (1, 2), "random_fourier_features": True})
    params = init(config, np.random.default_rng(3))
    assert {name: p.shape for name, p in params.items()} == param_shapes(config)
    assert {p.dtype for p in params.values()} == {np.dtype(np.float64)}
    again = init(config, np.random.default_rng(3))
    other = init(config, np.random.default_rng(4))
    for name, p in params.items():
        assert np.array_equal(p, again[name])
        assert name.endswith(".g") or not np.array_equal(p, other[name])
    assert all(np.all(p == 1.0) for name, p in params.items() if name.endswith(".g"))
    for name, fan_in in (("downs.1.1.block2.proj", 8 * 9), ("time_mlp.3", 32)):
        bound = fan_in**-0.5
        weight = params[f"{name}.weight"]
        assert 0.98 * bound < np.abs(weight).max() <= bound
        assert weight.std() == pytest.approx(bound / math.sqrt(3.0), rel=0.1)
        assert 0.4 * bound < np.abs(params[f"{name}.bias"]).max() <= bound
    assert params["mid_attn.mem_kv"].std() == pytest.approx(1.0, rel=0.1)
    assert np.abs(params["time_mlp.0.weights"]).max() > 0.8


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x": np.zeros((2, 3, 8, 4))}, r"x has shape \(2, 3, 8, 4\)"),
        ({"x": np.zeros((2, 1, 8, 4), np.int64)}, "dtype int64: give floats"),
        ({"x": np.zeros((2, 1, 8, 5))}, "image_size 5 is not divisible by 2"),
        ({"time": np.zeros(3)}, r"time has shape \(3,\)"),
        ({"x_self_cond": np.zeros((2, 1, 8, 8))}, r"x_self_cond has shape \(2, 1, 8, 8\)"),
        ({"dropout_masks": [np.ones((2, 8, 8, 4))]}, "dropout_masks have shapes"),
        (
            {"config": UnetConfig(dim=8, dim_mults=(1, 2), channels=1)},
            "x_self_cond is given, but the network has self_condition=False",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_named(changed, message):
    config = config_of({"dim_mults": (1, 2), "self_condition": True})
    x, time, condition, _ = wave_inputs(config)
    good = {"config": config, "x": x, "time": time, "x_self_cond": condition}
    with pytest.raises(ValueError, match=message):
        unet(wave_parameters(config), **{**good, **changed})
