"""The accelerated operators that multiply and add, each as one product of two matrices.

In this form they can be asked for the same things: to copy, and what they compute in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from ...accelerated.networks.convolutions import Linear
from ...accelerated.networks.operators import Convolution
from . import device
from .device import Array
from .effective import Product


def product_of(operator: str, kernels: str) -> Product:
    """The operator of that name in OPERATORS, as ``x w`` for x (n, K) and w (K, m)."""
    return partial(OPERATORS[operator], kernels)


def _convolution(kernels: str, dim_out: int, kernel: int, stride: int = 1) -> Convolution:
    with device.kernels(kernels):
        return Convolution(dim_out, kernel, stride)


def _image(x: Array, stride: int = 1) -> Array:
    """The rows of x (n, K) as the pixels of an image (1, K, 1, n), with zeros between them."""
    image = np.zeros((1, x.shape[1], stride, stride * len(x)), np.float32)
    image[0, :, 0, ::stride] = x.T
    return image


def _weight(w: Array, kernel: int, place: int) -> Array:
    """A kernel (m, K, k, k) that is w (K, m) at one place, and else 0."""
    weight = np.zeros((*w.T.shape, kernel, kernel), np.float32)
    weight[:, :, place, place] = w.T
    return weight


def _forward(kernels: str, x: Array, w: Array, kernel: int, stride: int = 1) -> Array:
    convolve = _convolution(kernels, w.shape[1], kernel, stride)
    weight = _weight(w, kernel, kernel // 2 if stride == 1 else 0)
    bias = np.zeros(w.shape[1], np.float32)
    out: Array = device.run("eager", convolve, _image(x, stride), weight, bias)
    return out[0, :, 0].T


def _gradients(kernels: str, image: Array, weight: Array, dout: Array) -> tuple[Array, Array]:
    """Of the convolution's result with dout, by image and weight."""
    convolve = _convolution(kernels, weight.shape[0], weight.shape[-1])

    def loss(image: Tensor, weight: Tensor, dout: Tensor) -> Tensor:
        return (convolve(image, weight, ops.zeros((weight.shape[0],), ms.float32)) * dout).sum()

    grad: tuple[Array, Array] = device.run("eager", ms.grad(loss, (0, 1)), image, weight, dout)
    return grad


def _input_gradient(kernels: str, x: Array, w: Array, kernel: int) -> Array:
    weight = _weight(w.T, kernel, kernel // 2)  # (K, m, k, k): from m channels to K
    image = np.zeros((1, w.shape[1], 1, len(x)), np.float32)
    gradient, _ = _gradients(kernels, image, weight, _image(x))
    out: Array = gradient[0, :, 0].T
    return out


def _weight_gradient(kernels: str, x: Array, w: Array, kernel: int) -> Array:
    image = np.ascontiguousarray(x)[None, :, None, :]  # (1, n, 1, K): K pixels
    weight = np.zeros((w.shape[1], len(x), kernel, kernel), np.float32)
    dout = np.ascontiguousarray(w.T)[None, :, None, :]
    _, gradient = _gradients(kernels, image, weight, dout)
    return gradient[:, :, kernel // 2, kernel // 2].T


def _linear(kernels: str, x: Array, w: Array) -> Array:
    with device.kernels(kernels):
        cell = Linear(np.random.default_rng(0), *w.shape)
    ops.assign(cell.weight, Tensor(np.ascontiguousarray(w.T)))
    ops.assign(cell.bias, Tensor(np.zeros(w.shape[1], np.float32)))
    out: Array = device.run("eager", cell, x)
    return out


def _matmul(kernels: str, x: Array, w: Array, left: bool, right: bool) -> Array:
    x, w = x.T if left else x, w.T if right else w
    factors = (np.ascontiguousarray(factor)[None] for factor in (x, w))
    out: Array = device.run("eager", ops.BatchMatMul(left, right), *factors)[0]
    return out


OPERATORS: dict[str, Callable[[str, Array, Array], Any]] = {
    **{f"conv2d {k}x{k}": partial(_forward, kernel=k) for k in (1, 3, 7)},
    "conv2d 2x2, stride 2": partial(_forward, kernel=2, stride=2),
    **{f"conv2d {k}x{k}, by its image": partial(_input_gradient, kernel=k) for k in (1, 3)},
    **{f"conv2d {k}x{k}, by its kernel": partial(_weight_gradient, kernel=k) for k in (1, 3)},
    "linear": _linear,
    "matrix product": partial(_matmul, left=False, right=False),
    "matrix product A^T B": partial(_matmul, left=True, right=False),
    "matrix product A B^T": partial(_matmul, left=False, right=True),
    "matrix product A^T B^T": partial(_matmul, left=True, right=True),
}
"""Each with (kernels, x, w), kernels being one of ``device.KERNELS``."""
