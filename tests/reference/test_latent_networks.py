"""The networks that paint from text: what they are made of, and the sizes that are published."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.reference.config import (
    AutoencoderConfig,
    LatentUnetConfig,
    TransformerConfig,
    wukong,
)
from ddpm_mindspore.reference.networks import (
    autoencoder,
    blocks,
    conditioning,
    latent_unet,
    layers,
    transformer,
)
from ddpm_mindspore.reference.networks.initial import draw
from ddpm_mindspore.reference.training import value_and_grad

RNG = np.random.default_rng(0)
UNET = LatentUnetConfig(
    dim=8, dim_mults=(1, 2), blocks=1, heads=2, context_dim=3, groups=4, dropout=0.5
)
AUTOENCODER = AutoencoderConfig(dim=4, dim_mults=(1, 2), groups=2, channels=2)
TEXT = TransformerConfig(vocabulary=9, length=5, width=8, layers=2, heads=2)


def drawn(shapes: blocks.Shapes) -> dict[str, np.ndarray]:
    """Parameters none of which is zero."""
    return {n: RNG.standard_normal(s) / math.sqrt(max(s[-1], 4)) for n, s in shapes.items()}


def published() -> dict[str, tuple[int, ...]]:
    parts = {
        "unet": latent_unet.param_shapes(wukong.UNET),
        "autoencoder": autoencoder.param_shapes(wukong.AUTOENCODER),
        "text_encoder": transformer.param_shapes(wukong.TEXT_ENCODER),
    }
    counts = {part: (len(s), sum(map(math.prod, s.values()))) for part, s in parts.items()}
    assert counts == {
        "unet": (686, 859_520_964),
        "autoencoder": (248, 83_653_863),
        "text_encoder": (148, 123_060_480),
    }
    return {
        wukong.PREFIXES[part] + name: shape
        for part, shapes in parts.items()
        for name, shape in shapes.items()
    }


def test_names_and_shapes_are_those_of_the_published_weights() -> None:
    lines = sorted(f"{n} {'x'.join(map(str, shape))}\n" for n, shape in published().items())
    assert len(lines) == 1082
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert digest == "816773e322af4d01c39fe846df1a5dda94125359b013138bc980819df228a2a1"


def test_the_inpainting_network_reads_nine_channels() -> None:
    more = latent_unet.param_shapes(wukong.INPAINTING_UNET)
    shapes = latent_unet.param_shapes(wukong.UNET)
    differing = {n: (shape, more[n]) for n, shape in shapes.items() if shape != more[n]}
    assert differing == {"input_blocks.0.0.conv.weight": ((320, 4, 3, 3), (320, 9, 3, 3))}


def test_group_norm_standardises_each_group_alone() -> None:
    x = 3.0 + 2.0 * RNG.standard_normal((2, 6, 3, 5))
    gamma, beta = RNG.standard_normal((2, 6))
    unit = blocks.group_norm(x, np.ones(6), np.zeros(6), groups=3, eps=0.0).reshape(2, 3, -1)
    np.testing.assert_allclose(unit.mean(2), 0.0, atol=1e-14)
    np.testing.assert_allclose(unit.var(2), 1.0, atol=1e-13)
    out = blocks.group_norm(x, gamma, beta, groups=3, eps=1e-5)
    column = (1, 6, 1, 1)
    scaled = unit.reshape(x.shape) * gamma.reshape(column) + beta.reshape(column)
    np.testing.assert_allclose(out, scaled, atol=1e-5)
    changed = x.copy()
    changed[:, 2:] += 1.0
    np.testing.assert_array_equal(
        out[:, :2], blocks.group_norm(changed, gamma, beta, groups=3, eps=1e-5)[:, :2]
    )
    constant = blocks.group_norm(np.full((1, 6, 1, 1), 7.0), gamma, beta, groups=6, eps=1e-5)
    np.testing.assert_array_equal(constant.ravel(), beta)


def test_layer_norm_standardises_each_token() -> None:
    x = 3.0 + 2.0 * RNG.standard_normal((2, 4, 6))
    gamma, beta = RNG.standard_normal((2, 6))
    expected = (x - x.mean(2, keepdims=True)) / x.std(2, keepdims=True) * gamma + beta
    np.testing.assert_allclose(blocks.layer_norm(x, gamma, beta, 1e-12), expected, atol=1e-10)
    halved = blocks.layer_norm(np.array([[[-1.0, 1.0]]]), np.ones(2), np.zeros(2), 3.0)
    np.testing.assert_allclose(halved, [[[-0.5, 0.5]]])


def test_activations_at_known_points() -> None:
    x = np.array([-3.0, 0.0, 1.0, 30.0])
    np.testing.assert_allclose(blocks.quick_gelu(x), x / (1.0 + np.exp(-1.702 * x)))
    np.testing.assert_allclose(blocks.gelu_tanh(x), layers.gelu(x), atol=1e-3)
    assert blocks.gelu_tanh(np.array([1.0]))[0] == pytest.approx(0.8411919906082768, rel=1e-12)


@pytest.mark.parametrize("before", [0, 1])
def test_a_halving_convolution_is_every_second_value_of_a_whole_one(before: int) -> None:
    x = RNG.standard_normal((2, 3, 6, 4))
    weight, bias = RNG.standard_normal((5, 3, 3, 3)), RNG.standard_normal(5)
    whole = layers.conv2d(x, weight, bias)[:, :, 1 - before :: 2, 1 - before :: 2]
    np.testing.assert_allclose(blocks.halving_conv2d(x, weight, bias, before), whole, atol=1e-13)


def test_the_time_embedding_has_cosines_first() -> None:
    embedding = blocks.time_embedding(np.array([0.0, 10.0]), 4)
    np.testing.assert_array_equal(embedding[0], [1.0, 1.0, 0.0, 0.0])
    expected = [math.cos(10.0), math.cos(0.1), math.sin(10.0), math.sin(0.1)]
    np.testing.assert_allclose(embedding[1], expected)


def test_cross_attention_reads_a_set_of_tokens() -> None:
    name, dim = "a", 4
    shapes = blocks.dense_shapes("a.to_q", dim, dim, bias=False)
    shapes |= blocks.dense_shapes("a.to_k", 3, dim, bias=False)
    shapes |= blocks.dense_shapes("a.to_v", 3, dim, bias=False)
    params = drawn(shapes | blocks.dense_shapes("a.to_out.0", dim, dim))
    x, context = RNG.standard_normal((2, 5, dim)), RNG.standard_normal((2, 6, 3))
    out = conditioning.cross_attention(params, name, x, context, heads=2)
    assert out.shape == x.shape
    turned = conditioning.cross_attention(params, name, x, context[:, ::-1], heads=2)
    np.testing.assert_allclose(turned, out, atol=1e-14)
    one = conditioning.cross_attention(params, name, x, context[:, :1], heads=2)
    value = context[:, :1] @ params["a.to_v.weight"].T @ params["a.to_out.0.weight"].T
    np.testing.assert_allclose(
        one, np.broadcast_to(value + params["a.to_out.0.bias"], x.shape), atol=1e-14
    )


def test_heads_attend_by_themselves() -> None:
    q, k, v = RNG.standard_normal((3, 1, 5, 6))
    both = conditioning.attend(q, k, v, heads=2)
    halves = [conditioning.attend(q[..., s], k[..., s], v[..., s], 1) for s in (HALF, REST)]
    np.testing.assert_allclose(both, np.concatenate(halves, axis=2), atol=1e-14)


HALF, REST = slice(0, 3), slice(3, 6)


def test_no_token_sees_a_later_one() -> None:
    params = drawn(transformer.param_shapes(TEXT))
    ids = np.array([[1, 2, 3, 4, 5], [6, 7, 8, 0, 0]])
    states = transformer.transformer(params, TEXT, ids)
    changed = ids.copy()
    changed[:, 3] = 8
    others = transformer.transformer(params, TEXT, changed)
    np.testing.assert_array_equal(states[:, :3], others[:, :3])
    assert np.all(np.any(states[:, 3:] != others[:, 3:], axis=2))
    np.testing.assert_allclose(
        transformer.transformer(params, TEXT, ids[:, :2]), states[:, :2], atol=1e-14
    )


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (
            np.zeros((1, 6), int),
            r"ids have shape \(1, 6\): it must be \(B, N\), N at least 1, at m",
        ),
        (np.zeros(3, int), r"ids have shape \(3,\)"),
        (np.array([[0, 9]]), "ids lie between 0 and 9: the table has 0 to 8"),
        (np.array([[-1, 3]]), "ids lie between -1 and 3"),
    ],
)
def test_ids_that_do_not_fit(ids: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        transformer.transformer(transformer.init(TEXT, RNG), TEXT, ids)


def test_the_gaussian_of_latents() -> None:
    moments = RNG.standard_normal((2, 4, 3, 3))
    distribution = autoencoder.gaussian(moments)
    mean, log_variance = moments[:, :2], moments[:, 2:]
    noise = RNG.standard_normal((2, 2, 3, 3))
    expected = mean + np.exp(log_variance) ** 0.5 * noise
    np.testing.assert_allclose(autoencoder.sample(distribution, noise), expected)
    standard = autoencoder.gaussian(np.zeros((2, 4, 3, 3)))
    np.testing.assert_array_equal(autoencoder.kl(standard), [0.0, 0.0])
    one = autoencoder.gaussian(np.array([1.0, math.log(4.0)]).reshape(1, 2, 1, 1))
    assert autoencoder.kl(one)[0] == pytest.approx(-math.log(2.0) + (4.0 + 1.0) / 2.0 - 0.5)
    extreme = autoencoder.gaussian(np.array([0.0, 0.0, -99.0, 99.0]).reshape(1, 4, 1, 1))
    assert extreme.log_variance.ravel().tolist() == [-30.0, 20.0]


def test_the_autoencoder_halves_and_doubles() -> None:
    params = drawn(autoencoder.param_shapes(AUTOENCODER))
    x = RNG.standard_normal((2, 2, 6, 4))
    mean, log_variance = autoencoder.encode(params, AUTOENCODER, x)
    shape = AUTOENCODER.latent_shape((6, 4))
    assert mean.shape == log_variance.shape == (2, *shape) == (2, 4, 3, 2)
    assert autoencoder.decode(params, AUTOENCODER, mean).shape == x.shape
    with pytest.raises(ValueError, match="image_size 5 is not divisible by 2"):
        autoencoder.encode(params, AUTOENCODER, x[:, :, :5])


def test_the_network_begins_by_predicting_nothing() -> None:
    params = latent_unet.init(UNET, np.random.default_rng(0))
    assert {n: p.shape for n, p in params.items()} == latent_unet.param_shapes(UNET)
    x, context = RNG.standard_normal((2, 4, 4, 6)), RNG.standard_normal((2, 7, 3))
    out = latent_unet.latent_unet(params, UNET, x, np.array([0.0, 9.5]), condition=context)
    np.testing.assert_array_equal(out, np.zeros((2, 4, 4, 6)))
    first = transformer.init(TEXT, np.random.default_rng(0))
    assert first["embedding_table"].std() == pytest.approx(0.02, rel=0.2)
    assert np.all(first["ln_final.gamma"] == 1.0)


def test_a_layer_gives_on_as_much_as_it_is_given() -> None:
    """Else what a text says fades on its way, and networks learn which colours there are alone."""
    rng = np.random.default_rng(0)
    weight = draw("transformer_blocks.0.attn2.to_v.weight", (256, 64), rng)
    out = weight @ rng.standard_normal((64, 2000))
    assert out.std() == pytest.approx(1.0, rel=0.05)
    kernel = draw("input_blocks.1.0.in_layers_conv.conv.weight", (32, 16, 3, 3), rng)
    assert kernel.std() == pytest.approx((16 * 9) ** -0.5, rel=0.05)


def test_the_network_is_told_text_time_and_what_to_drop() -> None:
    params = drawn(latent_unet.param_shapes(UNET))
    x, context = RNG.standard_normal((2, 4, 4, 6)), RNG.standard_normal((2, 7, 3))
    time = np.array([3.0, 500.0])

    def output(**changed: Any) -> np.ndarray:
        given = {"x": x, "time": time, "condition": context, **changed}
        out: np.ndarray = latent_unet.latent_unet(params, UNET, **given)
        return out

    out = output()
    assert out.shape == x.shape
    assert not np.allclose(out, output(condition=context + 0.1))
    later = output(time=np.array([3.0, 501.0]))
    np.testing.assert_allclose(later[0], out[0], atol=1e-12)
    assert not np.allclose(later[1], out[1])
    masks = [np.ones((2, *s)) for s in UNET.dropout_shapes((4, 6))]
    assert len(masks) == 2 + 2 + 4
    assert not np.allclose(output(dropout_masks=masks), out)  # what is kept is divided by 1/2
    for i, mask in enumerate(masks):
        none = [m if m is not mask else np.zeros_like(m) for m in masks]
        assert not np.allclose(output(dropout_masks=none), output(dropout_masks=masks)), i


def test_the_gradient_is_that_of_finite_differences() -> None:
    params = drawn(latent_unet.param_shapes(UNET))
    x, context = RNG.standard_normal((1, 4, 2, 4)), RNG.standard_normal((1, 3, 3))

    def loss(arrays: Any) -> Any:
        out = latent_unet.latent_unet(arrays, UNET, x, np.array([5.0]), condition=context)
        return (out * out).sum()

    gradients = value_and_grad(loss, params)[1]
    direction = {n: RNG.standard_normal(p.shape) for n, p in params.items()}
    step = 1e-6
    ahead, back = (
        loss({n: p + sign * step * direction[n] for n, p in params.items()}) for sign in (1, -1)
    )
    slope = sum(float((gradients[n] * direction[n]).sum()) for n in params)
    assert slope == pytest.approx((ahead - back) / (2 * step), rel=1e-6)
    assert not [n for n, g in gradients.items() if not np.any(g)]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"condition": None}, "condition is missing"),
        ({"condition": np.zeros((2, 3, 4))}, r"shape \(2, 3, 4\): it must be \(2, M, 3\)"),
        ({"condition": np.zeros((1, 3, 3))}, r"shape \(1, 3, 3\): it must be \(2, M, 3\)"),
        ({"x": np.zeros((2, 9, 4, 4))}, r"x has shape \(2, 9, 4, 4\)"),
        ({"x": np.zeros((2, 4, 4, 5))}, "image_size 5 is not divisible by 2"),
        ({"time": np.zeros(3)}, r"time has shape \(3,\): it must be \(2,\)"),
        ({"x_self_cond": np.zeros((2, 4, 4, 4))}, "x_self_cond is given"),
        ({"dropout_masks": []}, r"dropout_masks have shapes \[\]"),
    ],
)
def test_arguments_that_do_not_fit(changed: dict[str, Any], told: str) -> None:
    given = {"x": np.zeros((2, 4, 4, 4)), "time": np.zeros(2), "condition": np.zeros((2, 5, 3))}
    with pytest.raises(ValueError, match=told):
        latent_unet.latent_unet(latent_unet.init(UNET, RNG), UNET, **{**given, **changed})


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        (LatentUnetConfig, {"dim": 20}, "groups 8 must divide the width .* and 20 .*: choose 5"),
        (LatentUnetConfig, {"dim": 8, "heads": 3}, "heads 3 must divide the width 8"),
        (LatentUnetConfig, {"attention": (True,)}, "has 1 entries"),
        (LatentUnetConfig, {"gelu": "relu"}, "gelu 'relu' must be 'tanh' or 'erf'"),
        (LatentUnetConfig, {"extra_channels": -1}, "extra_channels -1 must be at least 0"),
        (LatentUnetConfig, {"blocks": 0}, "blocks 0 must be at least 1"),
        (LatentUnetConfig, {"dropout": 1.0}, "dropout 1.0 is a probability"),
        (LatentUnetConfig, {"norm_eps": 0.0}, "norm_eps 0.0 must be positive"),
        (AutoencoderConfig, {"groups": 0}, "groups 0 must be at least 1"),
        (AutoencoderConfig, {"dim_mults": ()}, r"dim_mults \(\) must hold positive multipliers"),
        (AutoencoderConfig, {"latent_channels": 0}, "latent_channels 0 must be at least 1"),
        (TransformerConfig, {"width": 6, "heads": 4}, "width 6 must be a multiple of heads 4"),
        (TransformerConfig, {"layers": 0}, "layers 0 must be at least 1"),
        (TransformerConfig, {"norm_eps": -1.0}, "norm_eps -1.0 must be positive"),
    ],
)  # fmt: skip
def test_options_that_no_network_can_be_built_from(kind: Any, options: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        kind(**options)
