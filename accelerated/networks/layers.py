"""The U-Net's layers, in the forms that run fast.

Each is defined, as its paper writes it, under the same name in ``reference/networks/layers.py``;
the parity suite compares the two. Where a form here looks roundabout, it is because the direct one
is many times slower on a CPU: a reduction over channels becomes a product with ones, a
nearest-neighbour enlargement a product with zeros and ones, a softmax always runs over the last
axis. All of it is plain matrix arithmetic, which is what an Ascend card does best too.

Parameter names are those of the ``denoising-diffusion-pytorch`` U-Net (2.3.4).
"""

from __future__ import annotations

import math

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.ops.auto_generate import SplitWithSize

from .. import kernels
from ..precision import MixedCell, cast

Rng = np.random.Generator


def _uniform(rng: Rng, shape: tuple[int, ...], fan_in: int) -> Parameter:
    bound = 1.0 / math.sqrt(fan_in)
    return Parameter(Tensor(rng.uniform(-bound, bound, shape).astype(np.float32)))


def _normal(rng: Rng, shape: tuple[int, ...], requires_grad: bool = True) -> Parameter:
    values = rng.standard_normal(shape).astype(np.float32)
    return Parameter(Tensor(values), requires_grad=requires_grad)


def _sum_pixels(x: Tensor) -> Tensor:
    """Sum x (B, C, N) over N, as a product with ones: (B, C, 1)."""
    return ops.bmm(x, ops.ones((x.shape[0], x.shape[2], 1), x.dtype))


def _sum_channels(x: Tensor) -> Tensor:
    """Sum x (B, C, N) over C, as a product with ones: (B, 1, N)."""
    return ops.bmm(ops.ones((x.shape[0], 1, x.shape[1]), x.dtype), x)


def _sum_batch_like(x: Tensor, like: Tensor) -> Tensor:
    """Sum x (B, C, 1) over the batch if ``like`` is (1, C, 1), the gradient of a broadcast."""
    if like.shape[0] == x.shape[0]:
        return x
    batch, dim, _ = x.shape
    return ops.matmul(ops.ones((1, batch), x.dtype), x.reshape(batch, dim)).reshape(1, dim, 1)


class AddBias(nn.Cell):
    """``x + bias`` for x (B, C, H, W) and bias (C,); its gradient sums by matrix products."""

    def construct(self, x: Tensor, bias: Tensor) -> Tensor:
        return x + cast(bias, x.dtype).reshape(1, -1, 1, 1)

    def bprop(self, x: Tensor, bias: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        total = _sum_pixels(cast(dout, ms.float32).reshape(x.shape[0], x.shape[1], -1))
        return dout, _sum_batch_like(total, bias.reshape(1, -1, 1)).reshape(bias.shape)


class Convolution(MixedCell):
    """Cross-correlation of x (B, C, H, W) with weight (O, C, k, k), plus bias (O,) or None.

    With stride 1 the kernel, of odd size, is centred and x is zero around its edges; else the
    stride is k and there is no margin.
    """

    def __init__(self, dim_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        pad = kernel // 2 if stride == 1 else 0
        self.convolve = ops.Conv2D(dim_out, kernel, pad_mode="pad", pad=pad, stride=stride)
        self.add_bias = AddBias()
        self.onednn = kernels.Convolution(stride) if kernels.in_use() else None

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        x, weight = cast(x, self.compute), cast(weight, self.compute)
        if self.onednn is not None and self.compute == ms.float32:
            if bias is None:
                bias = ops.zeros((weight.shape[0],), ms.float32)
            return cast(self.onednn(x, weight, bias), self.result)
        x = cast(self.convolve(x, weight), self.result)
        return x if bias is None else self.add_bias(x, bias)


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


def _inverse_norm(x: Tensor) -> Tensor:
    """``1 / max(||x||_2, 1e-12)`` over the channels of x (B, C, N): (B, 1, N)."""
    return 1.0 / ops.sqrt(ops.maximum(_sum_channels(x * x), 1e-24))


def _normalize_bprop(unit: Tensor, inverse: Tensor, dunit: Tensor) -> Tensor:
    """dL/dx = (dL/du - u <u, dL/du>) / ||x|| for u = x / ||x||, by the quotient rule."""
    return (dunit - unit * _sum_channels(unit * dunit)) * inverse


def _gain(x: Tensor, g: Tensor) -> Tensor:
    """``sqrt(C) g`` of shape (1, C, 1)."""
    return g.reshape(1, -1, 1) * math.sqrt(x.shape[1])


class Normalize(nn.Cell):
    """``sqrt(C) g x / max(||x||_2, 1e-12)`` over channels, x (B, C, N), g (1, C, 1, 1)."""

    def construct(self, x: Tensor, g: Tensor) -> Tensor:
        return x * _inverse_norm(x) * _gain(x, g)

    def bprop(self, x: Tensor, g: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        inverse = _inverse_norm(x)
        unit = x * inverse
        gain = _gain(x, g)
        dgain = _sum_batch_like(_sum_pixels(dout * unit), gain)
        return _normalize_bprop(unit, inverse, dout * gain), _gain(x, dgain).reshape(g.shape)


class NormalizeSilu(nn.Cell):
    """``silu((scale + 1) n + shift)``, n as :class:`Normalize` has it of x and g.

    The heart of a block. ``modulation`` (B or 1, 2 C): scale and shift.
    """

    def construct(self, x: Tensor, g: Tensor, modulation: Tensor) -> Tensor:
        scale, shift = _scale_and_shift(modulation)
        return ops.silu(x * _inverse_norm(x) * (_gain(x, g) * (scale + 1.0)) + shift)

    def bprop(
        self, x: Tensor, g: Tensor, modulation: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        scale, shift = _scale_and_shift(modulation)
        inverse = _inverse_norm(x)
        unit = x * inverse
        gain = _gain(x, g)
        modulated = gain * (scale + 1.0)
        z = unit * modulated + shift
        gate = ops.sigmoid(z)
        dz = dout * (gate + out * (1.0 - gate))  # silu' = s + z s (1 - s)
        dmodulated = _sum_pixels(dz * unit)
        dg = _gain(x, _sum_batch_like(dmodulated * (scale + 1.0), gain))
        dscale = _sum_batch_like(dmodulated * gain, scale)
        dshift = _sum_batch_like(_sum_pixels(dz), shift)
        dmodulation = ops.concat((dscale, dshift), 1).reshape(modulation.shape)
        return _normalize_bprop(unit, inverse, dz * modulated), dg.reshape(g.shape), dmodulation


def _scale_and_shift(modulation: Tensor) -> tuple[Tensor, Tensor]:
    """The halves of (B, 2 C), each (B, C, 1)."""
    scale, shift = ops.Split(1, 2)(modulation.reshape(modulation.shape[0], -1, 1))
    return scale, shift


class RMSNorm(nn.Cell):
    """Root-mean-square norm over channels with a learned gain (arXiv 1910.07467)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.g = Parameter(ops.ones((1, dim, 1, 1), ms.float32))
        self.normalize = kernels.Normalize() if kernels.in_use() else Normalize()

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


class Softmax(nn.Cell):
    """``exp(x) / sum(exp(x))`` over the last axis."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.Softmax(-1)(x)


def gelu(x: Tensor) -> Tensor:
    """``x Phi(x)`` with the exact normal distribution function (arXiv 1606.08415)."""
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


class Block(MixedCell):
    """3x3 convolution, RMS norm, optional scale and shift by the time embedding, SiLU."""

    def __init__(self, rng: Rng, dim: int, dim_out: int) -> None:
        super().__init__()
        self.proj = Conv2d(rng, dim, dim_out, 3)
        self.norm = RMSNorm(dim_out)
        self.normalize_silu = kernels.NormalizeSilu() if kernels.in_use() else NormalizeSilu()
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
        self.softmax = kernels.Softmax() if kernels.in_use() else Softmax()

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
        self.softmax = kernels.Softmax() if kernels.in_use() else Softmax()

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
