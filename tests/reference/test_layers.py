"""Each layer against its definition, written with explicit loops."""

from __future__ import annotations

import math

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from scipy.stats import norm

from ddpm_mindspore.reference.networks import layers

RNG = np.random.default_rng(20)


def normal(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize("k", [1, 3, 7])
def test_conv2d_is_the_sum_over_kernel_offsets(k):
    x, weight, bias = normal(2, 3, 5, 4), normal(6, 3, k, k), normal(6)
    out = layers.conv2d(x, weight, bias)
    assert out.shape == (2, 6, 5, 4)
    r = k // 2
    for b, o, h, w in np.ndindex(out.shape):
        expected = bias[o]
        for c, i, j in np.ndindex(weight.shape[1:]):
            row, column = h + i - r, w + j - r
            if 0 <= row < 5 and 0 <= column < 4:
                expected += weight[o, c, i, j] * x[b, c, row, column]
        assert out[b, o, h, w] == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(layers.conv2d(x, weight), layers.conv2d(x, weight, np.zeros(6)))


def test_linear_multiplies_by_the_transposed_weight():
    x, weight, bias = normal(2, 3), normal(4, 3), normal(4)
    expected = [[weight[o] @ x[b] + bias[o] for o in range(4)] for b in range(2)]
    np.testing.assert_allclose(layers.linear(x, weight, bias), expected, rtol=1e-14)


def test_activations_are_x_times_a_distribution_function():
    x = np.array([-800.0, -30.0, -1.5, 0.0, 0.3, 2.0, 800.0])
    with np.errstate(over="raise"):
        np.testing.assert_allclose(layers.gelu(x), x * norm.cdf(x), rtol=1e-12, atol=1e-15)
        inner = x[1:-1]
        np.testing.assert_allclose(layers.silu(inner), inner / (1 + np.exp(-inner)), rtol=1e-14)
        assert layers.silu(x)[0] == 0.0
        assert layers.silu(x)[-1] == 800.0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_softmax_sums_to_one_along_its_axis(axis):
    x = normal(3, 4, 5)
    out = layers.softmax(x, axis)
    np.testing.assert_allclose(out.sum(axis=axis), 1.0, rtol=1e-14)
    np.testing.assert_allclose(out, np.exp(x) / np.exp(x).sum(axis, keepdims=True), rtol=1e-13)
    np.testing.assert_allclose(layers.softmax(x + 1e4, axis), out, rtol=1e-9)


def test_softmax_gradient_is_exact_though_the_maximum_is_held_fixed():
    x, c = normal(4), normal(4)
    p = layers.softmax(x, 0)
    expected = (np.diag(p) - np.outer(p, p)) @ c
    actual = grad(lambda x: anp.sum(layers.softmax(x, 0) * c))(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-15)


def test_rms_norm_gives_each_pixel_the_root_mean_square_of_the_gain():
    x = normal(2, 6, 3, 4) * 100.0
    g = normal(1, 6, 1, 1)
    out = layers.rms_norm(x, g)
    np.testing.assert_allclose(np.mean((out / g) ** 2, axis=1), 1.0, rtol=1e-13)
    np.testing.assert_allclose(layers.rms_norm(3.0 * x, g), out, rtol=1e-13)
    assert np.all(np.sign(out) == np.sign(x * g))


def test_rms_norm_floor_is_a_norm_of_1e_12_and_zero_stays_differentiable():
    x = np.zeros((1, 4, 1, 1))
    x[0, 0] = 1e-13
    np.testing.assert_allclose(layers.rms_norm(x, np.ones((1, 4, 1, 1)))[0, 0], 0.2, rtol=1e-12)
    gradient = grad(lambda x: anp.sum(layers.rms_norm(x, np.ones((1, 4, 1, 1)))))(0.0 * x)
    np.testing.assert_allclose(gradient, 2e12, rtol=1e-12)


def test_upsample_repeats_and_unshuffle_gathers():
    x = normal(2, 3, 4, 6)
    up = layers.upsample_nearest(x)
    assert up.shape == (2, 3, 8, 12)
    for b, c, h, w in np.ndindex(up.shape):
        assert up[b, c, h, w] == x[b, c, h // 2, w // 2]
    down = layers.pixel_unshuffle(x)
    assert down.shape == (2, 12, 2, 3)
    for b, c, h, w in np.ndindex(x.shape):
        assert down[b, 4 * c + 2 * (h % 2) + w % 2, h // 2, w // 2] == x[b, c, h, w]


def test_sinusoidal_embedding_has_geometric_frequencies_from_1_to_1_over_theta():
    time = np.array([0.0, 1.0, 999.0])
    out = layers.sinusoidal_embedding(time, 8, theta=500.0)
    for b, i in np.ndindex(3, 4):
        angle = time[b] * 500.0 ** (-i / 3)
        assert out[b, i] == pytest.approx(math.sin(angle), abs=1e-12)
        assert out[b, 4 + i] == pytest.approx(math.cos(angle), abs=1e-12)


def test_fourier_embedding_starts_with_the_time_itself():
    time, weights = np.array([0.5, 7.0]), normal(3)
    out = layers.fourier_embedding(time, weights)
    assert out.shape == (2, 7)
    for b in range(2):
        angles = 2 * math.pi * time[b] * weights
        expected = [time[b], *np.sin(angles), *np.cos(angles)]
        np.testing.assert_allclose(out[b], expected, rtol=1e-12)


def attention_parameters(dim, heads, d, memory_shape, linear):
    out = "a.to_out.0" if linear else "a.to_out"
    params = {
        "a.norm.g": normal(1, dim, 1, 1),
        "a.mem_kv": normal(2, heads, *memory_shape),
        "a.to_qkv.weight": normal(3 * heads * d, dim, 1, 1),
        f"{out}.weight": normal(dim, heads * d, 1, 1),
        f"{out}.bias": normal(dim),
    }
    if linear:
        params["a.to_out.1.g"] = normal(1, dim, 1, 1)
    return params


def head_inputs(params, x, heads, d):
    """q, k, v for each image and head, as lists of vectors over the pixels."""
    normed = layers.rms_norm(x, params["a.norm.g"])
    for b in range(len(x)):
        pixels = normed[b].reshape(x.shape[1], -1).T
        qkv = pixels @ params["a.to_qkv.weight"][:, :, 0, 0].T  # (N, 3 * heads * d)
        q, k, v = (qkv[:, i * heads * d : (i + 1) * heads * d] for i in range(3))
        yield [
            (q[:, h * d : (h + 1) * d], k[:, h * d : (h + 1) * d], v[:, h * d : (h + 1) * d])
            for h in range(heads)
        ]


def test_attention_weighs_memory_and_pixels_by_the_softmax_of_their_scores():
    heads, d, dim = 2, 3, 4
    x = normal(2, dim, 2, 3)
    params = attention_parameters(dim, heads, d, (5, d), linear=False)
    out = layers.attention(params, "a", x)
    for b, per_head in enumerate(head_inputs(params, x, heads, d)):
        answers = []
        for h, (q, k, v) in enumerate(per_head):
            keys = np.concatenate((params["a.mem_kv"][0, h], k))
            values = np.concatenate((params["a.mem_kv"][1, h], v))
            scores = np.exp(q @ keys.T / math.sqrt(d))
            answers.append(scores / scores.sum(axis=1, keepdims=True) @ values)
        answer = np.concatenate(answers, axis=1) @ params["a.to_out.weight"][:, :, 0, 0].T
        expected = (answer + params["a.to_out.bias"]).T.reshape(dim, 2, 3)
        np.testing.assert_allclose(out[b], expected, rtol=1e-10, atol=1e-12)


def test_linear_attention_mixes_values_by_channel():
    heads, d, dim = 3, 2, 4
    x = normal(2, dim, 3, 2)
    params = attention_parameters(dim, heads, d, (d, 4), linear=True)
    out = layers.linear_attention(params, "a", x)
    for b, per_head in enumerate(head_inputs(params, x, heads, d)):
        answers = []
        for h, (q, k, v) in enumerate(per_head):
            keys = np.exp(np.concatenate((params["a.mem_kv"][0, h].T, k)))
            values = np.concatenate((params["a.mem_kv"][1, h].T, v))
            queries = np.exp(q) / np.exp(q).sum(axis=1, keepdims=True) / math.sqrt(d)
            context = (keys / keys.sum(axis=0)).T @ values
            answers.append(queries @ context)
        answer = np.concatenate(answers, axis=1) @ params["a.to_out.0.weight"][:, :, 0, 0].T
        plain = (answer + params["a.to_out.0.bias"]).T.reshape(1, dim, 3, 2)
        expected = layers.rms_norm(plain, params["a.to_out.1.g"])[0]
        np.testing.assert_allclose(out[b], expected, rtol=1e-10, atol=1e-12)


def resnet_parameters(dim, dim_out, time_dim):
    params = {
        "r.mlp.1.weight": normal(2 * dim_out, time_dim),
        "r.mlp.1.bias": normal(2 * dim_out),
        "r.block1.proj.weight": normal(dim_out, dim, 3, 3),
        "r.block1.proj.bias": normal(dim_out),
        "r.block1.norm.g": normal(1, dim_out, 1, 1),
        "r.block2.proj.weight": normal(dim_out, dim_out, 3, 3),
        "r.block2.proj.bias": normal(dim_out),
        "r.block2.norm.g": normal(1, dim_out, 1, 1),
    }
    if dim != dim_out:
        params["r.res_conv.weight"] = normal(dim_out, dim, 1, 1)
        params["r.res_conv.bias"] = normal(dim_out)
    return params


@pytest.mark.parametrize("dim_out", [3, 5])
def test_resnet_block_is_two_blocks_and_a_way_around(dim_out):
    params, x, embedding = resnet_parameters(3, dim_out, 4), normal(2, 3, 4, 4), normal(2, 4)
    keep = RNG.random((2, dim_out, 4, 4)) < 0.7
    modulation = layers.silu(embedding) @ params["r.mlp.1.weight"].T + params["r.mlp.1.bias"]
    scale, shift = modulation[:, :dim_out, None, None], modulation[:, dim_out:, None, None]
    h = layers.conv2d(x, params["r.block1.proj.weight"], params["r.block1.proj.bias"])
    h = layers.silu(layers.rms_norm(h, params["r.block1.norm.g"]) * (1 + scale) + shift)
    h = np.where(keep, h / 0.75, 0.0)
    h = layers.conv2d(h, params["r.block2.proj.weight"], params["r.block2.proj.bias"])
    h = layers.silu(layers.rms_norm(h, params["r.block2.norm.g"]))
    way = x
    if dim_out != 3:
        way = layers.conv2d(x, params["r.res_conv.weight"], params["r.res_conv.bias"])
    out = layers.resnet_block(params, "r", x, embedding, keep, dropout=0.25)
    np.testing.assert_allclose(out, way + h, rtol=1e-12, atol=1e-13)


def test_no_mask_means_no_dropout():
    params, x, embedding = resnet_parameters(3, 3, 4), normal(2, 3, 4, 4), normal(2, 4)
    whole = layers.resnet_block(params, "r", x, embedding, None, dropout=0.5)
    kept = layers.resnet_block(params, "r", x, embedding, np.ones(x.shape, np.int64), dropout=0.0)
    assert np.array_equal(whole, kept)
