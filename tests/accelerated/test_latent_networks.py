"""The networks that paint from text: as graphs, with other parameters, from a seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from ddpm_mindspore.accelerated import GaussianDiffusion
from ddpm_mindspore.accelerated.networks.autoencoder import Autoencoder
from ddpm_mindspore.accelerated.networks.latent_unet import LatentUnet
from ddpm_mindspore.accelerated.networks.transformer import Transformer
from ddpm_mindspore.reference.networks import autoencoder, latent_unet, transformer

UNET: dict[str, Any] = {
    "dim": 4,
    "dim_mults": (1, 2),
    "blocks": 1,
    "attention": False,
    "heads": 2,
    "context_dim": 6,
    "groups": 2,
}
AUTOENCODER: dict[str, Any] = {"dim": 4, "dim_mults": (1, 2), "groups": 2}
TEXT: dict[str, Any] = {"vocabulary": 9, "length": 5, "width": 6, "layers": 1, "heads": 2}
RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def parameters(network: Any, param_shapes: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Give a network parameters none of which is 0."""
    shapes = param_shapes(network.config)
    assert {p.name: tuple(p.shape) for p in network.get_parameters()} == shapes
    network.load_arrays({name: 0.3 * normal(*shape) for name, shape in shapes.items()})
    return {name: array.astype(np.float64) for name, array in network.arrays().items()}


def agree(actual: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(actual.asnumpy(), expected, atol=1e-5 * np.abs(expected).max())


def test_a_text_encoder_as_a_graph() -> None:
    network = Transformer(**TEXT)
    params = parameters(network, transformer.param_shapes)
    encode = ms.jit(network)
    for length in (5, 3):
        ids = RNG.integers(0, 9, (2, length)).astype(np.int32)
        agree(encode(Tensor(ids)), transformer.transformer(params, network.config, ids))


def test_an_autoencoder_as_a_graph() -> None:
    network = Autoencoder(**AUTOENCODER)
    params = parameters(network, autoencoder.param_shapes)
    x, noise = normal(2, 3, 4, 6), normal(2, 4, 2, 3)
    image, moments = ms.jit(network)(Tensor(x), Tensor(noise))
    expected = autoencoder.encode(params, network.config, x)
    agree(moments, np.concatenate(expected, axis=1))
    z = autoencoder.sample(expected, noise)
    agree(image, autoencoder.decode(params, network.config, z))


def test_a_latent_network_as_a_graph() -> None:
    network = LatentUnet(**UNET)
    params = parameters(network, latent_unet.param_shapes)
    predict = ms.jit(network)
    time, context = np.array([0.5, 700.0], np.float32), normal(2, 5, 6)
    x = normal(2, 4, 4, 6)
    out = predict(Tensor(x), Tensor(time), None, None, Tensor(context))
    expected = latent_unet.latent_unet(params, network.config, x, time, condition=context)
    agree(out, expected)


def test_first_parameters_are_a_function_of_the_seed() -> None:
    first, same, other = (LatentUnet(**UNET, seed=seed).arrays() for seed in (1, 1, 2))
    assert not [name for name in first if np.any(first[name] != same[name])]
    assert np.any(first["time_embed.0.weight"] != other["time_embed.0.weight"])
    assert not np.any(first["out.2.conv.weight"])


def test_parameters_of_a_file_are_taken_as_they_are() -> None:
    asked: dict[str, tuple[int, ...]] = {}

    def values(name: str, shape: tuple[int, ...]) -> np.ndarray:
        asked[name] = shape
        return np.full(shape, len(asked), np.float32)

    network = Transformer(values=values, **TEXT)
    assert asked == transformer.param_shapes(network.config)
    counts = {name: int(array.flat[0]) for name, array in network.arrays().items()}
    assert sorted(counts.values()) == list(range(1, len(asked) + 1))


@pytest.mark.parametrize("level", ["O1", "O2", "O3"])
def test_the_time_is_embedded_in_float32(level: str) -> None:
    from ddpm_mindspore.accelerated.precision import set_precision

    network = LatentUnet(**UNET)
    set_precision(network, level, "float16")
    kept = {cell.compute for cell in network.time_embed.cells()}
    assert kept == ({ms.float16} if level in ("O1", "O3") else {ms.float32})
    assert network.first.convolve.compute == ms.float16


def test_pictures_are_drawn_from_a_text_and_away_from_another() -> None:
    network = LatentUnet(**{**UNET, "dim_mults": (1,)}, channels=2)
    parameters(network, latent_unet.param_shapes)
    diffusion = GaussianDiffusion(network, image_size=2, timesteps=9, sampling_timesteps=2)
    wanted, empty = normal(2, 3, 6), normal(3, 6)
    plain = diffusion.sample(2, condition=wanted)
    same = diffusion.sample(2, condition=np.stack((empty, empty)))
    guided = {"num_samples": 2, "cond_scale": 3.0, "negative": empty}
    # Nothing leads away from what is wanted itself.
    still = diffusion.sample(2, condition=np.stack((empty, empty)), **guided)
    np.testing.assert_allclose(still, same, atol=1e-5)
    away = diffusion.sample(2, condition=wanted, **guided)
    assert np.abs(away - plain).max() > 0.01
    with pytest.raises(ValueError, match=r"cond_scale 3\.0 needs .* or a negative condition"):
        diffusion.sample(2, condition=wanted, cond_scale=3.0)
    with pytest.raises(ValueError, match=r"negative of shape \(6,\) must be \(3, 6\)"):
        diffusion.sample(2, condition=wanted, negative=empty[0], cond_scale=3.0)
    with pytest.raises(ValueError, match="condition is missing"):
        diffusion.sample(2)
