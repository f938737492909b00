"""The U-Net's layers, in the forms that run fast.

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
from mindspore.ops.auto_generate import SplitWithSize

from ..precision import MixedCell, cast
from .operators import AddBias, Convolution, Normalize, NormalizeSilu, Softmax, fastest

Rng = np.random.Generator


def _uniform(rng: Rng, shape: tuple[int, ...], fan_in: int) -> Parameter:
    bound = 1.0 / math.sqrt(fan_in)
    return Parameter(Tensor(rng.uniform(-bound, bound, shape).astype(np.float32)))


def _normal(rng: Rng, shape: tuple[int, ...], requires_grad: bool = True) -> Parameter:
    values = rng.standard_normal(shape).astype(np.float32)
    return Parameter(Tensor(values), requires_grad=requires_grad)


class Conv2d(nn.Cell):
    """Convolution with a square kernel of odd size that keeps height and width."""

    def __init__(self, rng: Rng, dim: int, dim_out: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        fan_in = dim * kernel * kernel
        self.weight = _uniform(rng, (dim_out, dim, kernel, kernel), fan_in)
        self.bias = _uniform(rng, (dim_out,), fan_in) if bias else None
        self.convolve = Convolution(dim_out, kernel)

    def construct(self, x: Tensor) -> Tensor:
        return self.convolve(x, self.weight, self.bias)


class Linear(MixedCell):
    """``x W^T + b``."""

    def __init__(self, rng: Rng, dim: int, dim_out: int) -> None:
        super().__init__()
        self.weight = _uniform(rng, (dim_out, dim), dim)
        self.bias = _uniform(rng, (dim_out,), dim)
        self.multiply = ops.MatMul(transpose_b=True)

    def construct(self, x: Tensor) -> Tensor:
        x = self.multiply(cast(x, self.compute), cast(self.weight, self.compute))
        return cast(x, self.result) + cast(self.bias, self.result)


class RMSNorm(nn.Cell):
    """Root-mean-square norm over channels with a learned gain (arXiv 1910.07467)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.g = Parameter(ops.ones((1, dim, 1, 1), ms.float32))
        self.normalize = fastest(Normalize)

    def construct(self, x: Tensor) -> Tensor:
        """Normalise x (B, C, N), in float32."""
        return self.normalize(cast(x, ms.float32), self.g)


class Upsample(nn.SequentialCell):
    """Nearest-neighbour enlargement by two, then a 3x3 convolution."""

    def __init__(self, rng: Rng, dim: int, dim_out: int) -> None:
        super().__init__([nn.Identity(), Conv2d(rng, dim, dim_out, 3)])

    def construct(self, x: Tensor) -> Tensor:
        return self[1](upsample_nearest(x))


def upsample_nearest(x: Tensor) -> Tensor:
    """Repeat every pixel of x (B, C, H, W) in a 2x2 square.

    One product per row of pixels with ``[U U]``, where U repeats columns: the row comes out doubled
    twice over, which read as two rows is the enlargement.
    """
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


def gelu(x: Tensor) -> Tensor:
    """``x Phi(x)`` with the exact normal distribution function (arXiv 1606.08415)."""
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


class Block(MixedCell):
    """3x3 convolution, RMS norm, optional scale and shift by the time embedding, SiLU."""

    def __init__(self, rng: Rng, dim: int, dim_out: int) -> None:
        super().__init__()
        self.proj = Conv2d(rng, dim, dim_out, 3)
        self.norm = RMSNorm(dim_out)
        self.normalize_silu = fastest(NormalizeSilu)
        self.unmodulated = Tensor(np.zeros((1, 2 * dim_out), np.float32))

    def construct(self, x: Tensor, modulation: Tensor | None = None) -> Tensor:
        """Shapes: x (B, C, H, W); modulation (B, 2 C_out), scale and shift."""
        x = self.proj(x)
        shape = x.shape
        modulation = self.unmodulated if modulation is None else cast(modulation, ms.float32)
        x = cast(x, ms.float32).reshape(shape[0], shape[1], -1)
        x = self.normalize_silu(x, self.norm.g, modulation)
        return cast(x, self.result).reshape(shape)


class ResnetBlock(nn.Cell):
    """Two blocks, the first modulated by time, and a shortcut around them."""

    def __init__(
        self, rng: Rng, dim: int, dim_out: int, time_dim: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.mlp = nn.SequentialCell([nn.Identity(), Linear(rng, time_dim, 2 * dim_out)])
        self.block1 = Block(rng, dim, dim_out)
        self.block2 = Block(rng, dim_out, dim_out)
        self.res_conv = Conv2d(rng, dim, dim_out, 1) if dim != dim_out else None
        self.kept_scale = 1.0 / (1.0 - dropout)

    def construct(self, x: Tensor, silu_time: Tensor, dropout_mask: Tensor | None = None) -> Tensor:
        """Shapes: x (B, C, H, W); silu_time (B, time_dim), the embedding after its SiLU."""
        h = self.block1(x, self.mlp[1](silu_time))
        if dropout_mask is not None:
            h = h * cast(dropout_mask, h.dtype) * self.kept_scale
        h = self.block2(h)
        return h + (x if self.res_conv is None else self.res_conv(x))


class LinearAttention(MixedCell):
    """Attention with ``softmax(q) (softmax(k)^T v)``, linear in the pixels (arXiv 1812.01243)."""

    def __init__(self, rng: Rng, dim: int, heads: int, dim_head: int, memories: int = 4) -> None:
        super().__init__()
        self.heads, self.dim_head = heads, dim_head
        hidden = heads * dim_head
        self.norm = RMSNorm(dim)
        self.mem_kv = _normal(rng, (2, heads, dim_head, memories))
        self.to_qkv = Conv2d(rng, dim, 3 * hidden, 1, bias=False)
        self.to_out = nn.SequentialCell([Conv2d(rng, hidden, dim, 1), RMSNorm(dim)])
        self.add_bias = AddBias()
        self.softmax = fastest(Softmax)

    def construct(self, x: Tensor) -> Tensor:
        shape = x.shape
        batch, dim, pixels = shape[0], shape[1], shape[2] * shape[3]
        heads, dim_head = self.heads, self.dim_head
        hidden = heads * dim_head
        low = self.compute
        x = cast(self.norm(x.reshape(batch, dim, pixels)), low)

        weight_q, weight_kv = SplitWithSize()(
            cast(self.to_qkv.weight, low).reshape(3 * hidden, dim), (hidden, 2 * hidden), 0
        )
        # q comes out as (B, pixels, heads, dim_head): its softmax then runs over the last axis.
        q = ops.BatchMatMul(True, True)(x, ops.broadcast_to(weight_q, (batch, hidden, dim)))
        q = cast(q, ms.float32).reshape(batch, pixels, heads, dim_head)
        q = cast(self.softmax(q), low).reshape(batch, pixels, hidden)
        kv = ops.bmm(ops.broadcast_to(weight_kv, (batch, 2 * hidden, dim)), x)
        kv = cast(kv, self.result)
        k, v = _with_memory(kv.reshape(batch, 2, heads, dim_head, pixels), self.mem_kv)
        k = cast(self.softmax(cast(k, ms.float32)), low)
        context = ops.BatchMatMul(False, True)(cast(v, low), k)  # (B, heads, e, d)

        # The output projection goes into the small context, not over all pixels.
        to_out = cast(self.to_out[0].weight, low)
        to_out = to_out.reshape(1, dim, heads, dim_head).transpose(0, 2, 1, 3)
        context = ops.bmm(ops.broadcast_to(to_out, (batch, heads, dim, dim_head)), context)
        context = context.transpose(0, 2, 1, 3).reshape(batch, dim, hidden) * dim_head**-0.5
        out = cast(ops.BatchMatMul(False, True)(context, q), self.result).reshape(shape)
        out = self.add_bias(out, self.to_out[0].bias)
        return cast(self.to_out[1](out.reshape(batch, dim, pixels)), self.result).reshape(shape)


class Attention(MixedCell):
    """``softmax(q k^T / sqrt(d)) v`` over all pixels (arXiv 1706.03762, eq. 1)."""

    def __init__(self, rng: Rng, dim: int, heads: int, dim_head: int, memories: int = 4) -> None:
        super().__init__()
        self.heads, self.dim_head = heads, dim_head
        hidden = heads * dim_head
        self.norm = RMSNorm(dim)
        self.mem_kv = _normal(rng, (2, heads, memories, dim_head))
        self.to_qkv = Conv2d(rng, dim, 3 * hidden, 1, bias=False)
        self.to_out = Conv2d(rng, hidden, dim, 1)
        self.softmax = fastest(Softmax)

    def construct(self, x: Tensor) -> Tensor:
        shape = x.shape
        batch, dim, pixels = shape[0], shape[1], shape[2] * shape[3]
        heads, dim_head = self.heads, self.dim_head
        x = self.norm(x.reshape(batch, dim, pixels)).reshape(shape)
        qkv = self.to_qkv(x).reshape(batch, 3, heads, dim_head, pixels)
        # ops.split into parts of different sizes would add 7 MB to the compiled graph.
        cut, end, ones = ops.StridedSlice(), (heads, dim_head, pixels), (1, 1, 1, 1, 1)
        q = cut(qkv, (0, 0, 0, 0, 0), (batch, 1, *end), ones)
        kv = cut(qkv, (0, 1, 0, 0, 0), (batch, 3, *end), ones)
        q = q.reshape(batch, heads, dim_head, pixels) * dim_head**-0.5
        k, v = _with_memory(kv, self.mem_kv.transpose(0, 1, 3, 2))
        low = self.compute
        scores = ops.BatchMatMul(True, False)(cast(q, low), cast(k, low))
        weights = self.softmax(cast(scores, ms.float32))  # (B, heads, pixels, keys)
        out = ops.BatchMatMul(False, True)(cast(v, low), cast(weights, low))
        return self.to_out(out.reshape(batch, heads * dim_head, shape[2], shape[3]))


def _with_memory(kv: Tensor, mem_kv: Tensor) -> tuple[Tensor, Tensor]:
    """Put the learned keys and values (2, heads, d, M) before kv (B, 2, heads, d, N); split."""
    batch, _, heads, dim_head, _ = kv.shape
    memories = mem_kv.shape[-1]
    memory = ops.broadcast_to(
        cast(mem_kv, kv.dtype).reshape(1, 2, heads, dim_head, memories),
        (batch, 2, heads, dim_head, memories),
    )
    k, v = ops.Split(1, 2)(ops.concat((memory, kv), -1))
    shape = (batch, heads, dim_head, -1)
    return k.reshape(shape), v.reshape(shape)
