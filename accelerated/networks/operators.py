"""What layers compute with: operators with gradients of their own.

Here they are made of MindSpore's own operations, which every device has; a reduction over channels
is a product with ones, since the direct one is many times slower on a CPU. Most stand in
``kernels`` once more, compiled: which of the two is used, :func:`compiled` decides, nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import mindspore as ms
from mindspore import Tensor, nn, ops

from .. import kernels
from ..kernels import dense
from ..precision import MixedCell, cast

Operator = TypeVar("Operator", bound=nn.Cell)


def compiled(operator: Callable[..., Operator], *args: Any) -> Operator | None:
    """This operator of ``kernels``, or None where what is made now uses MindSpore's own."""
    return operator(*args) if kernels.in_use() else None


def fastest(operator: type[nn.Cell], *args: Any) -> nn.Cell:
    """This operator, one of the keys of COMPILED, in the form that runs fastest here."""
    return compiled(COMPILED[operator], *args) or operator(*args)


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
    """``x + bias`` for x (B, C, *spatial), bias (C,); its gradient sums by matrix products."""

    def construct(self, x: Tensor, bias: Tensor) -> Tensor:
        return x + cast(bias, x.dtype).reshape((1, -1) + (1,) * (x.ndim - 2))

    def bprop(self, x: Tensor, bias: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        total = _sum_pixels(cast(dout, ms.float32).reshape(x.shape[0], x.shape[1], -1))
        return dout, _sum_batch_like(total, bias.reshape(1, -1, 1)).reshape(bias.shape)


class Factored(MixedCell):
    """A layer that has compiled forms, one for each type that its products' factors may have.

    Args:
        form: an operator of ``kernels``, whose last argument is the factors' type.
        args: those before it.
    """

    def __init__(self, form: Callable[..., nn.Cell], *args: Any) -> None:
        super().__init__()
        self.exact = compiled(form, *args)
        self.rounded = None
        if self.exact is not None and not kernels.why_no_bfloat16():
            self.rounded = form(*args, "bfloat16")
        self.inside = self.rounded is not None

    def form(self) -> Any:
        """The compiled form for what it computes in now, or None."""
        if self.compute == ms.float32:
            return self.exact
        return self.rounded if self.compute == ms.bfloat16 else None

    def product(self, form: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """What a form that multiplies makes of x, weight, and bias (O,) or None."""
        if bias is None:
            bias = ops.zeros((weight.shape[0],), ms.float32)
        return cast(form(cast(x, ms.float32), weight, bias), self.result)


class Convolution(Factored):
    """Cross-correlation of x (B, C, H, W) with weight (O, C, k, l), plus bias (O,) or None.

    Kernel and stride are one number, or one along height and one along width. With stride s the
    result is s times smaller: x is zero (k - s) / 2 pixels around its edges. With ``groups`` weight
    is (O, C / groups, k, l), and there is no gradient.
    """

    def __init__(
        self,
        dim_out: int,
        kernel: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(kernels.CompiledConvolution, stride)
        kernel, steps = ((n, n) if isinstance(n, int) else n for n in (kernel, stride))
        down, across = ((k - s) // 2 for k, s in zip(kernel, steps, strict=True))
        pad = (down, down, across, across)
        self.convolve = ops.Conv2D(
            dim_out, kernel, pad_mode="pad", pad=pad, stride=steps, group=groups
        )
        self.add_bias = AddBias()

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        onednn = self.form()
        if onednn is not None:
            return self.product(onednn, x, weight, bias)
        x, weight = cast(x, self.compute), cast(weight, self.compute)
        x = cast(self.convolve(x, weight), self.result)
        return x if bias is None else self.add_bias(x, bias)


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


def _mean(x: Tensor) -> Tensor:
    """Of each row of x (R, M), as a product with ones: (R, 1).

    Dividing by M instead would be float64 in a graph from M = 65,536 on.
    """
    return ops.matmul(x, ops.ones((x.shape[1], 1), x.dtype)) * (1.0 / x.shape[1])


def _standardize(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """``(x - mean) / sqrt(variance + eps)`` over the rows of x (R, M), and the second's inverse."""
    x = x - _mean(x)
    inverse = 1.0 / ops.sqrt(_mean(x * x) + eps)
    return x * inverse, inverse


def _standardize_bprop(unit: Tensor, inverse: Tensor, dunit: Tensor) -> Tensor:
    """dL/dx = (dL/du - mean(dL/du) - u mean(u dL/du)) / sqrt(variance + eps) for its result u."""
    return (dunit - _mean(dunit) - unit * _mean(unit * dunit)) * inverse


class GroupNormalize(nn.Cell):
    """``gamma u + beta``, u standardised over the pixels of each of the groups of channels.

    Shapes: x (B, C, N), gamma and beta (C,).
    """

    def __init__(self, groups: int, eps: float) -> None:
        super().__init__()
        self.groups, self.eps = groups, eps

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        unit, _ = _standardize(x.reshape(x.shape[0] * self.groups, -1), self.eps)
        return unit.reshape(x.shape) * gamma.reshape(1, -1, 1) + beta.reshape(1, -1, 1)

    def bprop(
        self, x: Tensor, gamma: Tensor, beta: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = (x.shape[0] * self.groups, -1)
        unit, inverse = _standardize(x.reshape(rows), self.eps)
        column = gamma.reshape(1, -1, 1)
        dgamma = _sum_batch_like(_sum_pixels(dout * unit.reshape(x.shape)), column)
        dbeta = _sum_batch_like(_sum_pixels(dout), column)
        dx = _standardize_bprop(unit, inverse, (dout * column).reshape(rows))
        return dx.reshape(x.shape), dgamma.reshape(gamma.shape), dbeta.reshape(beta.shape)


class GroupNormalizeSilu(nn.Cell):
    """``silu`` of what :class:`GroupNormalize` makes of the same."""

    def __init__(self, groups: int, eps: float) -> None:
        super().__init__()
        self.normalize = GroupNormalize(groups, eps)

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return ops.silu(self.normalize(x, gamma, beta))


class LayerNormalize(nn.Cell):
    """``gamma u + beta``, u standardised over the channels of each token.

    Shapes: x (R, C), gamma and beta (C,).
    """

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return _standardize(x, self.eps)[0] * gamma + beta

    def bprop(
        self, x: Tensor, gamma: Tensor, beta: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        unit, inverse = _standardize(x, self.eps)
        ones = ops.ones((1, x.shape[0]), x.dtype)
        dgamma = ops.matmul(ones, dout * unit).reshape(gamma.shape)
        dbeta = ops.matmul(ones, dout).reshape(beta.shape)
        return _standardize_bprop(unit, inverse, dout * gamma), dgamma, dbeta


class Softmax(nn.Cell):
    """``exp(x) / sum(exp(x))`` over the last axis."""

    def construct(self, x: Tensor) -> Tensor:
        return ops.Softmax(-1)(x)


COMPILED: dict[type[nn.Cell], Callable[..., nn.Cell]] = {
    GroupNormalize: kernels.CompiledGroupNormalize,
    GroupNormalizeSilu: dense.CompiledGroupNormalizeSilu,
    LayerNormalize: kernels.CompiledLayerNormalize,
    Normalize: kernels.CompiledNormalize,
    NormalizeSilu: kernels.CompiledNormalizeSilu,
    Softmax: kernels.CompiledSoftmax,
}
"""What stands for an operator where compiled ones are in use."""
