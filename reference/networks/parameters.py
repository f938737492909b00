"""Shapes of layers' parameters, in networks over items of any rank, and what they are at first.

``rank``: 2 for images, 1 for sequences, 0 for vectors, of which a convolution is a linear map.
"""

from __future__ import annotations

from typing import TypeAlias

import autograd.numpy as np

from ..config import NetworkConfig
from .layers import Array

Shapes: TypeAlias = dict[str, tuple[int, ...]]


def conv(name: str, dim: int, dim_out: int, k: int, rank: int = 2) -> Shapes:
    return {f"{name}.weight": (dim_out, dim, *(k,) * rank), f"{name}.bias": (dim_out,)}


def linear(name: str, dim: int, dim_out: int) -> Shapes:
    return conv(name, dim, dim_out, 1, rank=0)


def gain(name: str, dim: int, rank: int = 2) -> Shapes:
    return {f"{name}.g": (1, dim, *(1,) * rank)}


def time_mlp(config: NetworkConfig) -> Shapes:
    shapes: Shapes = {}
    if config.learned_sinusoidal_cond or config.random_fourier_features:
        shapes["time_mlp.0.weights"] = (config.learned_sinusoidal_dim // 2,)
    shapes |= linear("time_mlp.1", config.fourier_dim, config.time_dim)
    return shapes | linear("time_mlp.3", config.time_dim, config.time_dim)


def classes_mlp(config: NetworkConfig) -> Shapes:
    if config.num_classes is None:
        return {}
    shapes: Shapes = {"classes_emb.weight": (config.num_classes + 1, config.dim)}
    shapes |= linear("classes_mlp.0", config.dim, config.time_dim)
    return shapes | linear("classes_mlp.2", config.time_dim, config.time_dim)


def resnet(name: str, dim: int, dim_out: int, time_dim: int, rank: int = 2) -> Shapes:
    shapes = linear(f"{name}.mlp.1", time_dim, 2 * dim_out)
    for block, width in (("block1", dim), ("block2", dim_out)):
        shapes |= conv(f"{name}.{block}.proj", width, dim_out, 3, rank)
        shapes |= gain(f"{name}.{block}.norm", dim_out, rank)
    return shapes | (conv(f"{name}.res_conv", dim, dim_out, 1, rank) if dim != dim_out else {})


def initial(shapes: Shapes, rng: np.random.Generator) -> dict[str, Array]:
    """Draw float64 parameters; the result depends on the shapes and on the state of ``rng`` alone.

    Convolutions and linear layers: uniform within +-1 / sqrt(fan_in), weights and biases (arXiv
    1502.01852 with a = sqrt(5)). Norm gains: 1. Memory pairs, Fourier frequencies and classes:
    N(0, 1).
    """

    def draw(name: str, shape: tuple[int, ...]) -> Array:
        if name.endswith(".g"):
            return np.ones(shape)
        if name.endswith((".mem_kv", ".weights", "classes_emb.weight")):
            return rng.standard_normal(shape)
        _, *fan_in = shapes[name.removesuffix("bias") + "weight" if name.endswith("bias") else name]
        bound = float(np.prod(fan_in)) ** -0.5
        return rng.uniform(-bound, bound, shape)

    return {name: draw(name, shape) for name, shape in shapes.items()}
