"""Compiled operators for the CPU: convolution, linear maps, attention, norms, Adam, in float32.

They are optional. The library beside this file is built when the package is installed where there
is a C++ compiler; it computes convolutions with the oneDNN that comes with MindSpore, but lets it
choose its layouts, which MindSpore's own operators do not. Where the library is missing, the device
is not a CPU, or the user has asked for stock operators, ``networks/operators.py`` uses those.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from ..system import runtime


def in_use() -> bool:
    """Whether layers made now are to use these operators."""
    return not _reason_against()


def describe() -> str:
    """Which operators are used, in one line for people."""
    if reason := _reason_against():
        return f"stock MindSpore operators: {reason}"
    filters = " (of 3x3 pixels by Winograd's filtering)" if in_lanes() else ""
    where = f"({runtime.kernel_library()}, threads: {threads()})"
    used = f"convolutions{filters}, linear maps, attention, norms"
    return f"{used}: compiled operators on oneDNN {where}"


def threads() -> int:
    """How many threads the operators run on: MindSpore's number, but no more than processors."""
    return min(runtime.usable_cores(), int(ms.get_context("runtime_num_threads")))


def in_lanes(factors: str = "float32") -> bool:
    """Whether 16 channels are computed at a time: with AVX-512, and for bfloat16 without AMX."""
    return in_use() and bool(_function("ddpm_kernels_lanes")(int(factors == "bfloat16")))


def why_no_bfloat16() -> str:
    """Why convolutions cannot multiply bfloat16 here, or nothing."""
    if reason := _reason_against():
        return reason
    if _function("ddpm_kernels_bfloat16")():
        return ""
    return "the processor has no instructions for it (AVX-512 BF16, AMX)"


def _reason_against() -> str:
    if not runtime.kernels_wanted():
        return f"{runtime.KERNELS}=stock"
    if ms.get_context("device_target") != "CPU":
        return f"the device is {ms.get_context('device_target')}"
    library = runtime.kernel_library()
    if library is None:
        return "the compiled operators were not built (that needs a C++ compiler)"
    return _open(library, Path(ms.__file__).parent / "lib" / "libdnnl.so.3")


@lru_cache
def _open(library: Path, onednn: Path) -> str:
    """Prepare the library for use; what is wrong, or nothing."""
    try:
        opened = loaded(library).ddpm_kernels_open
    except (OSError, AttributeError) as error:
        return f"{library} cannot be loaded ({error})"
    opened.restype = ctypes.c_char_p
    reason = opened(os.fsencode(onednn), threads())
    return "" if reason is None else reason.decode()


def _function(name: str) -> Any:
    library = runtime.kernel_library()
    assert library is not None
    if (function := getattr(loaded(library), name, None)) is None:
        raise RuntimeError(
            f"{library} has no {name!r}: it was built from other sources; install the package again"
        )
    return function


def loaded(path: Path) -> ctypes.CDLL:
    """The library of the operators in this file."""
    return ctypes.CDLL(str(path))


def _operator(name: str, shapes: Any, results: int, told: Any = "") -> ops.Custom:
    """One of the library; ``told``: what its ``shapes`` depend on besides its arguments'."""
    if reason := _reason_against():  # opens the library, without which it would crash
        raise RuntimeError(f"compiled operators are not in use here: {reason}")
    library = runtime.kernel_library()
    _function(name)
    dtypes = ms.float32 if results == 1 else (ms.float32,) * results
    operator = ops.Custom(f"{library}:{name}", shapes, lambda *_: dtypes, "aot")
    # Of two with one name and equal attributes, eager execution asks only the first for shapes.
    operator.add_prim_attr("told", str(told))
    return operator


def _first(*shapes: Any) -> Any:
    return shapes[0]


def _all_but_last(*shapes: Any) -> Any:
    return shapes[:-1]


class CompiledConvolution(nn.Cell):
    """Cross-correlation of x (B, C, H, W) with weight (O, C, k, l), plus bias (O,).

    With stride s (one number, or along height and along width) the result is s times smaller: x is
    zero (k - s) / 2 pixels around its edges. With weight (O, C / groups, k, l) groups of channels
    have filters of their own, and there is no gradient.

    Args:
        stride: s.
        factors: float32, or bfloat16: then the two factors of every product are rounded to it,
            forwards and backwards. Sums, biases and results are float32. Of a 3x3 kernel they are
            what Winograd's filtering makes of pixels and weights, where it is used (the manual).
        enlarged: how many times higher and wider x is made first (``upsampling.py``).
    """

    def __init__(
        self, stride: int | tuple[int, int] = 1, factors: str = "float32", enlarged: int = 1
    ) -> None:
        super().__init__()
        name = "convolution" if factors == "float32" else f"convolution_{factors}"
        down, across = (stride, stride) if isinstance(stride, int) else stride

        def result(x: Any, weight: Any, bias: Any) -> tuple[int, ...]:
            return (x[0], weight[0], enlarged * x[2] // down, enlarged * x[3] // across)

        def like_weight_and_bias(x: Any, weight: Any, dout: Any) -> tuple[Any, Any]:
            return weight, (weight[0],)

        self.convolve = _operator(name, result, 1, (down, across, enlarged))
        self.input_gradient = _operator(f"{name}_input_gradient", _first, 1)
        self.weight_gradient = _operator(f"{name}_weight_gradient", like_weight_and_bias, 2)

    def construct(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return self.convolve(x, weight, bias)

    def bprop(
        self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        dweight, dbias = self.weight_gradient(x, weight, dout)
        return self.input_gradient(x, weight, dout), dweight, dbias


class CompiledNormalize(nn.Cell):
    """``sqrt(C) g x / max(||x||_2, 1e-12)`` over channels, x (B, C, N), g (1, C, 1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.normalize = _operator("normalize", _first, 1)
        self.gradient = _operator("normalize_gradient", _all_but_last, 2)

    def construct(self, x: Tensor, g: Tensor) -> Tensor:
        return self.normalize(x, g)

    def bprop(self, x: Tensor, g: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor, Tensor]:
        dx, dg = self.gradient(x, g, dout)
        return dx, dg


class CompiledNormalizeSilu(nn.Cell):
    """``silu((scale + 1) n + shift)``, n as :class:`CompiledNormalize` has it of x and g.

    ``modulation`` (B or 1, 2 C): scale and shift.
    """

    def __init__(self) -> None:
        super().__init__()
        self.normalize = _operator("normalize_silu", _first, 1)
        self.gradient = _operator("normalize_silu_gradient", _all_but_last, 3)

    def construct(self, x: Tensor, g: Tensor, modulation: Tensor) -> Tensor:
        return self.normalize(x, g, modulation)

    def bprop(
        self, x: Tensor, g: Tensor, modulation: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        dx, dg, dmodulation = self.gradient(x, g, modulation, dout)
        return dx, dg, dmodulation


class CompiledGroupNormalize(nn.Cell):
    """``gamma u + beta``, u standardised over the pixels of each of the groups of channels.

    Shapes: x (B, C, N), gamma and beta (C,).
    """

    def __init__(self, groups: int, eps: float) -> None:
        super().__init__()
        self.settings = Tensor([groups, eps], ms.float32)

        def three(x: Any, gamma: Any, settings: Any, dout: Any) -> tuple[Any, Any, Any]:
            return x, gamma, gamma

        self.normalize = _operator("standardize", _first, 1)
        self.gradient = _operator("standardize_gradient", three, 3)

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        return self.normalize(x, gamma, beta, self.settings)

    def bprop(
        self, x: Tensor, gamma: Tensor, beta: Tensor, out: Tensor, dout: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        dx, dgamma, dbeta = self.gradient(x, gamma, self.settings, dout)
        return dx, dgamma, dbeta


class CompiledLayerNormalize(nn.Cell):
    """The same over the channels of each token: x (R, C), gamma and beta (C,)."""

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.normalize = CompiledGroupNormalize(1, eps)

    def construct(self, x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
        rows, dim = x.shape
        return self.normalize(x.reshape(rows, dim, 1), gamma, beta).reshape(rows, dim)


class CompiledSoftmax(nn.Cell):
    """``exp(x) / sum(exp(x))`` over the last axis; only its gradient needs another operator."""

    def __init__(self) -> None:
        super().__init__()
        self.gradient = _operator("softmax_gradient", _first, 1)

    def construct(self, x: Tensor) -> Tensor:
        return ops.Softmax(-1)(x)

    def bprop(self, x: Tensor, out: Tensor, dout: Tensor) -> tuple[Tensor]:
        return (self.gradient(out, dout),)


class CompiledAdam(nn.Cell):
    """One update of parameters, moments and averages in their places (``Optimizer.update``).

    Args:
        betas, max_norm: of the update.
        decays: for each parameter, whether its weights decay.
        averages: how many there are.
    """

    def __init__(
        self,
        betas: tuple[float, float],
        max_norm: float,
        decays: Sequence[bool],
        averages: int,
    ) -> None:
        super().__init__()
        self.decays = Tensor(np.array(decays, np.float32))
        self.constants = Tensor([*betas, max_norm, averages], ms.float32)
        self.adam = _operator("adam", lambda *_: (1,), 1)

    def construct(
        self,
        grads: tuple[Tensor, ...],
        loss: Tensor,
        rates: tuple[Tensor, ...],
        shares: tuple[Tensor, ...],
        parameters: tuple[Tensor, ...],
        vectors: tuple[Tensor, ...],
    ) -> Tensor:
        """The norm before clipping.

        ``rates``: lr, eps and decay; ``shares``: how far each average moves; ``vectors``: m, v and
        the averages.
        """
        norm = self.adam(
            self.constants, self.decays, loss, *rates, *shares, *grads, *parameters, *vectors
        )
        return norm.reshape(())


class Announce(nn.Cell):
    """Returns its two arguments, which are scalars, and wakes who waits for it (``waiting``)."""

    def __init__(self) -> None:
        super().__init__()
        self.announce = _operator("announce", lambda *shapes: shapes, 2)

    def construct(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        # Scalars that an operator of this kind returns become numbers of Python's.
        x, y = self.announce(x.reshape(1), y.reshape(1))
        return x.reshape(()), y.reshape(())
