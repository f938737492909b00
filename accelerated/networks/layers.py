"""The layers of all networks, in the forms that run fast.

Each is defined, as its paper writes it, under the same name in ``reference/networks/layers.py``;
the parity suite compares the two. Where a form here looks roundabout, it is because the direct one
is many times slower on a CPU: a nearest-neighbour enlargement becomes a product with zeros and
ones, a softmax always runs over the last axis. All of it is plain matrix arithmetic, which is what
an Ascend card does best too. What has a gradient of its own stands in ``operators.py``.

Parameter names are those of the ``denoising-diffusion-pytorch`` U-Net (2.3.4).
"""

from __future__ import annotations

import math

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from ...reference.config import NetworkConfig
from ..kernels import CompiledConvolution, in_lanes, upsampling
from ..kernels.residual import CHANNELS, CompiledResidualBlock
from ..precision import MixedCell, cast
from .convolutions import Conv2d, Linear, Rng, convolution
from .operators import Convolution, Normalize, NormalizeSilu, fastest


def _normal(rng: Rng, shape: tuple[int, ...], requires_grad: bool = True) -> Parameter:
    values = rng.standard_normal(shape).astype(np.float32)
    return Parameter(Tensor(values), requires_grad=requires_grad)


class RMSNorm(nn.Cell):
    """Root-mean-square norm over channels with a learned gain (arXiv 1910.07467)."""

    def __init__(self, dim: int, rank: int = 2) -> None:
        super().__init__()
        self.g = Parameter(ops.ones((1, dim, *(1,) * rank), ms.float32))
        self.normalize = fastest(Normalize)

    def construct(self, x: Tensor) -> Tensor:
        """Normalise x (B, C, N), in float32."""
        return self.normalize(cast(x, ms.float32), self.g)


class Upsample(nn.SequentialCell):
    """Nearest-neighbour enlargement by two, then a convolution with k = 3."""

    def __init__(self, rng: Rng, dim: int, dim_out: int, rank: int = 2) -> None:
        super().__init__([nn.Identity(), convolution(rng, dim, dim_out, 3, rank)])
        self.exact = self.rounded = None
        if rank == 2:
            self.exact = upsampling.enlarging("float32", dim, dim_out)
            self.rounded = upsampling.enlarging("bfloat16", dim, dim_out)

    def construct(self, x: Tensor) -> Tensor:
        whole = self._form()
        if whole is not None and x.shape[0] * x.shape[2] * x.shape[3] >= upsampling.PIXELS:
            return self[1].convolve.product(whole, x, self[1].weight, self[1].bias)
        return self[1](upsample_nearest(x))

    def _form(self) -> CompiledConvolution | None:
        compute = self[1].convolve.compute
        if compute == ms.float32:
            return self.exact
        return self.rounded if compute == ms.bfloat16 else None


def upsample_nearest(x: Tensor) -> Tensor:
    """Repeat every pixel of x (B, C, H, W) in a 2x2 square, of x (B, C, L) twice.

    One product per row of pixels with ``[U U]``, where U repeats columns: the row comes out doubled
    twice over, which read as two rows is the enlargement. Sequences are too long for such a matrix:
    each of their numbers is multiplied by two ones.
    """
    if x.ndim == 3:
        pairs = ops.matmul(x.reshape(-1, 1), ops.ones((1, 2), x.dtype))
        return pairs.reshape(x.shape[0], x.shape[1], -1)
    batch, dim, height, width = x.shape
    repeat = np.tile(np.kron(np.eye(width), np.ones((1, 2))), 2)
    rows = ops.matmul(x.reshape(-1, width), Tensor(repeat, x.dtype))
    return rows.reshape(batch, dim, 2 * height, 2 * width)


class Downsample(nn.SequentialCell):
    """Pixel-unshuffle by two and a 1x1 convolution: together, a 2x2 convolution of stride 2."""

    def __init__(self, rng: Rng, dim: int, dim_out: int) -> None:
        super().__init__([nn.Identity(), Conv2d(rng, 4 * dim, dim_out, 1)])
        self.convolve = Convolution(dim_out, 2, stride=2)

    def construct(self, x: Tensor) -> Tensor:
        weight, bias = self[1].weight, self[1].bias
        # Channel (c p1 p2) of the unshuffled image is pixel (p1, p2) of channel c.
        return self.convolve(x, weight.reshape(weight.shape[0], -1, 2, 2), bias)


class SinusoidalPosEmb(nn.Cell):
    """Sines and cosines of time at geometrically spaced frequencies (arXiv 1706.03762, 3.5)."""

    def __init__(self, dim: int, theta: float) -> None:
        super().__init__()
        half = dim // 2
        frequencies = np.exp(np.arange(half) * -(math.log(theta) / (half - 1)))
        self.frequencies = Tensor(frequencies[None, :], ms.float32)

    def construct(self, time: Tensor) -> Tensor:
        angles = time.reshape(-1, 1) * self.frequencies
        return ops.concat((ops.sin(angles), ops.cos(angles)), 1)


class RandomOrLearnedSinusoidalPosEmb(nn.Cell):
    """Time itself, and its sines and cosines at normally distributed frequencies."""

    def __init__(self, rng: Rng, dim: int, learned: bool) -> None:
        super().__init__()
        self.weights = _normal(rng, (dim // 2,), requires_grad=learned)

    def construct(self, time: Tensor) -> Tensor:
        time = time.reshape(-1, 1)
        angles = time * self.weights.reshape(1, -1) * (2 * math.pi)
        return ops.concat((time, ops.sin(angles), ops.cos(angles)), 1)


def time_mlp(rng: Rng, config: NetworkConfig) -> nn.SequentialCell:
    """The features of the time, and two linear layers; GELU belongs between them."""
    embedding: nn.Cell
    if config.learned_sinusoidal_cond or config.random_fourier_features:
        learned = not config.random_fourier_features
        embedding = RandomOrLearnedSinusoidalPosEmb(rng, config.learned_sinusoidal_dim, learned)
    else:
        embedding = SinusoidalPosEmb(config.dim, config.sinusoidal_pos_emb_theta)
    first = Linear(rng, config.fourier_dim, config.time_dim)
    second = Linear(rng, config.time_dim, config.time_dim)
    return nn.SequentialCell([embedding, first, nn.Identity(), second])


def classes_mlp(rng: Rng, config: NetworkConfig) -> nn.SequentialCell:
    """Two linear layers for the class of each item; GELU belongs between them."""
    first = Linear(rng, config.dim, config.time_dim)
    second = Linear(rng, config.time_dim, config.time_dim)
    return nn.SequentialCell([first, nn.Identity(), second])


class Embedding(nn.Cell):
    """The row of each label in a table, as a product with zeros and ones.

    Its gradient is a product too, which is the same every time; adding up rows in whatever order
    they come is not.
    """

    def __init__(self, rng: Rng, count: int, dim: int) -> None:
        super().__init__()
        self.weight = _normal(rng, (count, dim))
        self.numbers = Tensor(np.arange(count, dtype=np.int32)[None, :])

    def construct(self, labels: Tensor) -> Tensor:
        """Shapes: labels (B,) int32; the result (B, dim)."""
        chosen = ops.cast(ops.equal(labels.reshape(-1, 1), self.numbers), ms.float32)
        return ops.matmul(chosen, self.weight)


def gelu(x: Tensor) -> Tensor:
    """``x Phi(x)`` with the exact normal distribution function (arXiv 1606.08415)."""
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


class Block(MixedCell):
    """Convolution, k = 3, RMS norm, optional scale and shift by the time embedding, SiLU."""

    def __init__(self, rng: Rng, dim: int, dim_out: int, rank: int = 2) -> None:
        super().__init__()
        self.proj = convolution(rng, dim, dim_out, 3, rank)
        self.norm = RMSNorm(dim_out, rank)
        self.normalize_silu = fastest(NormalizeSilu)
        self.unmodulated = Tensor(np.zeros((1, 2 * dim_out), np.float32))

    def construct(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """Shapes: x (B, C, *spatial); modulation (B, 2 C_out), scale and shift."""
        x = self.proj(x)
        shape = x.shape
        modulation = self.unmodulated if modulation is None else cast(modulation, ms.float32)
        x = cast(x, ms.float32).reshape(shape[0], shape[1], -1)
        x = self.normalize_silu(x, self.norm.g, modulation)
        return cast(x, self.result).reshape(shape)


class ResnetBlock(nn.Cell):
    """Two blocks, the first modulated by time, and a shortcut around them."""

    def __init__(
        self, rng: Rng, dim: int, dim_out: int, time_dim: int, dropout: float = 0.0, rank: int = 2
    ) -> None:
        super().__init__()
        self.mlp = nn.SequentialCell([nn.Identity(), Linear(rng, time_dim, 2 * dim_out)])
        self.block1 = Block(rng, dim, dim_out, rank)
        self.block2 = Block(rng, dim_out, dim_out, rank)
        self.res_conv = convolution(rng, dim, dim_out, 1, rank) if dim != dim_out else None
        self.kept_scale = 1.0 / (1.0 - dropout)
        fits = rank == 2 and dim % CHANNELS == dim_out % CHANNELS == 0
        self.exact = self.rounded = None
        if fits and in_lanes("float32"):
            self.exact = CompiledResidualBlock("float32")
        if fits and in_lanes("bfloat16"):
            self.rounded = CompiledResidualBlock("bfloat16")
        self.fits = fits

    def construct(
        self,
        x: Tensor,
        silu_time: Tensor,
        dropout_mask: Tensor | None = None,
        skip: Tensor | None = None,
    ) -> Tensor:
        """Shapes: x (B, C, *spatial); silu_time (B, time_dim), the embedding after its SiLU.

        ``skip``: more channels, after those of x.
        """
        modulation = self.mlp[1](silu_time)
        whole = None
        if self.fits and dropout_mask is None and x.shape[1] % CHANNELS == 0:
            whole = self._form()
        if whole is not None:
            return self._as_a_whole(whole, x, skip, modulation)
        if skip is not None:
            x = ops.concat((x, skip), 1)
        h = self.block1(x, modulation)
        if dropout_mask is not None:
            h = h * cast(dropout_mask, h.dtype) * self.kept_scale
        h = self.block2(h)
        return h + (x if self.res_conv is None else self.res_conv(x))

    def _form(self) -> CompiledResidualBlock | None:
        compute = self.block1.proj.convolve.compute
        if compute == ms.float32:
            return self.exact
        return self.rounded if compute == ms.bfloat16 else None

    def _as_a_whole(
        self, whole: CompiledResidualBlock, x: Tensor, skip: Tensor | None, modulation: Tensor
    ) -> Tensor:
        first, second, nothing = self.block1, self.block2, whole.nothing
        weight, bias = nothing, nothing
        if self.res_conv is not None:
            weight, bias = self.res_conv.weight, self.res_conv.bias
        out, _ = whole(
            x,
            nothing if skip is None else skip,
            modulation,
            first.proj.weight,
            first.proj.bias,
            first.norm.g,
            second.proj.weight,
            second.proj.bias,
            second.norm.g,
            weight,
            bias,
        )
        return out
