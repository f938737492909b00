"""The networks over sequences and vectors, and the table of all: shapes, parts, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ddpm_mindspore.reference.config import (
    NETWORKS,
    LatentUnetConfig,
    MlpConfig,
    Unet1DConfig,
    UnetConfig,
)
from ddpm_mindspore.reference.config import network_name as name_of
from ddpm_mindspore.reference.networks import layers, table
from ddpm_mindspore.reference.networks.parameters import initial
from ddpm_mindspore.reference.networks.unet import class_embedding

RNG = np.random.default_rng(4)
SEQUENCES = Unet1DConfig(
    dim=4, dim_mults=(1, 2), channels=2, attn_heads=1, attn_dim_head=3,
    linear_attn_heads=2, linear_attn_dim_head=3,
)  # fmt: skip
VECTORS = MlpConfig(dim=8, depth=3, channels=5)


def normal(*shape):
    return RNG.standard_normal(shape)


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (3, 1), (7, 1), (4, 2)])
def test_conv1d_is_the_sum_over_kernel_offsets(k, stride):
    x, weight, bias = normal(2, 3, 6), normal(4, 3, k), normal(4)
    out = layers.conv1d(x, weight, bias, stride)
    assert out.shape == (2, 4, 6 // stride)
    for b, o, place in np.ndindex(out.shape):
        expected = bias[o]
        for c, j in np.ndindex(weight.shape[1:]):
            seen = stride * place + j - (k - stride) // 2
            if 0 <= seen < 6:
                expected += weight[o, c, j] * x[b, c, seen]
        assert out[b, o, place] == pytest.approx(expected, abs=1e-12)


def test_a_sequence_is_an_image_of_height_1_in_every_layer():
    x = normal(2, 3, 8)
    shapes = {"a.proj.weight": (4, 3, 3), "a.proj.bias": (4,), "a.norm.g": (1, 4, 1)}
    params = initial(shapes, RNG)
    scale, shift = normal(2, 4, 1), normal(2, 4, 1)
    flat = {name: value for name, value in params.items() if not name.endswith("proj.weight")}
    wide = np.zeros((4, 3, 3, 3))
    wide[:, :, 1] = params["a.proj.weight"]  # the other rows see nothing but the margin
    flat["a.proj.weight"], flat["a.norm.g"] = wide, params["a.norm.g"][..., None]
    expected = layers.block(flat, "a", x[:, :, None], (scale[..., None], shift[..., None]))
    actual = layers.block(params, "a", x, (scale, shift))
    np.testing.assert_allclose(actual, expected[:, :, 0], rtol=1e-12)
    assert np.array_equal(layers.upsample_nearest(x), np.repeat(x, 2, axis=2))


@pytest.mark.parametrize("attention", [layers.attention, layers.linear_attention])
def test_attention_without_memory_mixes_values_with_weights_that_sum_to_1(attention):
    """All values alike at every place: whatever the weights are, each place gets that value."""
    full = attention is layers.attention
    dim, heads, d = 3, 2, 4
    out = "to_out" if full else "to_out.0"
    params = {
        "a.to_qkv.weight": normal(3 * heads * d, dim, 1),
        f"a.{out}.weight": normal(dim, heads * d, 1),
        f"a.{out}.bias": normal(dim),
        "a.to_out.1.g": np.ones((1, dim, 1)),
    }
    x = np.repeat(normal(2, dim, 1), 5, axis=2)
    value = layers.conv1d(x, params["a.to_qkv.weight"][2 * heads * d :])
    if full:
        expected = layers.conv1d(value, params[f"a.{out}.weight"], params[f"a.{out}.bias"])
    else:  # queries sum to 1 over the channels, whose values differ from the context by none
        expected = layers.conv1d(
            value * d**-0.5, params[f"a.{out}.weight"], params[f"a.{out}.bias"]
        )
        expected = layers.rms_norm(expected, params["a.to_out.1.g"])
    np.testing.assert_allclose(attention(params, "a", x, heads), expected, rtol=1e-10)


def test_names_and_shapes_are_the_peers():
    shapes = table.param_shapes(SEQUENCES)
    assert shapes["init_conv.weight"] == (4, 2, 7)
    assert shapes["downs.0.2.fn.fn.to_qkv.weight"] == (18, 4, 1)
    assert shapes["downs.0.2.fn.norm.g"] == (1, 4, 1)
    assert shapes["downs.0.3.weight"] == (4, 4, 4)  # to half the length
    assert shapes["downs.1.3.weight"] == (8, 4, 3)
    assert shapes["mid_attn.fn.fn.to_out.weight"] == (8, 3, 1)
    assert shapes["ups.0.3.1.weight"] == (4, 8, 3) and shapes["ups.1.3.weight"] == (4, 4, 3)
    assert shapes["final_conv.weight"] == (2, 4, 1)


@pytest.mark.parametrize(
    ("config", "shape"),
    [(SEQUENCES, (3, 2, 8)), (VECTORS, (3, 5)), (UnetConfig(4, dim_mults=(1,)), (3, 3, 2, 2))],
)
@pytest.mark.parametrize("self_condition", [False, True])
def test_every_network_answers_in_the_shape_of_its_question(config, shape, self_condition):
    config = type(config)(**config.to_dict() | {"self_condition": self_condition, "dropout": 0.5})
    params = table.init(config, np.random.default_rng(0))
    assert {n: p.shape for n, p in params.items()} == table.param_shapes(config)
    x, time = normal(*shape), np.array([0.0, 3.5, 999.0])
    out = table.network(params, config, x, time)
    assert out.shape == shape and np.isfinite(out).all()
    alone = table.network(params, config, x[1:2], time[1:2])
    np.testing.assert_allclose(out[1:2], alone, rtol=1e-9)
    assert not np.allclose(out, table.network(params, config, x, time + 1.0))
    masks = [RNG.random((3, *s)) > 0.5 for s in config.dropout_shapes(shape[2:])]
    dropped = table.network(params, config, x, time, None, masks)
    assert not np.allclose(out, dropped)
    if self_condition:
        assert not np.allclose(out, table.network(params, config, x, time, x))
    with pytest.raises(ValueError, match="x has shape"):
        table.network(params, config, x[..., None], time)
    with pytest.raises(ValueError, match="time has shape"):
        table.network(params, config, x, time[:2])
    with pytest.raises(ValueError, match="dropout_masks have shapes"):
        table.network(params, config, x, time, None, masks[1:])
    if not self_condition:
        with pytest.raises(ValueError, match="self_condition=False"):
            table.network(params, config, x, time, x)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Unet1DConfig, {"dim": 5}, "dim 5 must be even"),
        (Unet1DConfig, {"dim": 8, "dim_mults": ()}, r"dim_mults \(\) must hold positive"),
        (Unet1DConfig, {"dim": 8, "linear_attn_heads": 0}, "linear_attn_heads 0 must be at least"),
        (MlpConfig, {"depth": 0}, "depth 0 must be at least 1"),
        (MlpConfig, {"dropout": 1.0}, r"dropout 1\.0 is a probability"),
    ],
)
def test_what_no_network_can_be_built_from_is_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"length 13 is not divisible by 2 .* choose 12 or 14"):
        SEQUENCES.check_image_size((13,))
    with pytest.raises(ValueError, match=r"length 1 is not divisible by 2 .* choose 2, or fewer"):
        SEQUENCES.check_image_size((1,))
    with pytest.raises(ValueError, match=r"size \(8, 8\) must be 1 number"):
        SEQUENCES.check_image_size((8, 8))
    with pytest.raises(ValueError, match=r"size \(8,\) must be \(\)"):
        VECTORS.check_image_size((8,))


def test_every_configuration_has_a_name_and_functions():
    assert NETWORKS.keys() == table.NETWORKS.keys()
    assert [name_of(c) for c in (UnetConfig(4), SEQUENCES, VECTORS)] == ["unet", "unet1d", "mlp"]
    assert name_of(LatentUnetConfig()) == "latent_unet"
    with pytest.raises(ValueError, match="of no kind that is known"):
        name_of(object())


@pytest.mark.parametrize(("config", "shape"), [(SEQUENCES, (2, 8)), (VECTORS, (5,))])
def test_a_class_moves_what_the_blocks_are_told_of_the_time(config, shape):
    told = replace(config, num_classes=2)
    params = table.init(told, RNG)
    x, time = normal(3, *shape), np.array([3.0, 40.0, 500.0])
    out = table.network(params, told, x, time, None, None, np.array([1, 0, 2]))
    without = {name: p for name, p in params.items() if not name.startswith("classes_")}
    for b, label in enumerate((1, 0, 2)):
        shift = class_embedding(params, np.array([label]))[0]
        moved = {**without, "time_mlp.3.bias": without["time_mlp.3.bias"] + shift}
        alone = table.network(moved, config, x[b : b + 1], time[b : b + 1])
        np.testing.assert_allclose(out[b : b + 1], alone, rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="condition is missing: give each image's class, 0 to 1"):
        table.network(params, told, x, time)
    with pytest.raises(ValueError, match="num_classes 0 must be at least 1"):
        replace(config, num_classes=0)
    with pytest.raises(ValueError, match=r"cond_drop_prob 1\.5 is a probability"):
        replace(config, cond_drop_prob=1.5)
