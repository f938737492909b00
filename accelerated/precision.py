"""Mixed precision: what each layer computes in, and the scale of the loss.

The levels are those of ``mindspore.amp.auto_mixed_precision``:

    O0  everything in float32
    O1  a white list in half precision, each result float32 again: convolutions, matrix products
    O2  all but a black list in half precision; the black list: norms (with the SiLU that follows),
        softmaxes, the embeddings of time and class and their two linear layers
    O3  everything in half precision; stricter here, norms, softmaxes, the time embedding's angles
        and the classes' table still are not (float16 knows nothing between 999 and 999.5)

At every level parameters, moments, averages, the network's output and the loss are float32.

A CPU has no arrays of bfloat16. Its compiled operators can multiply it, between float32 arrays:
that is O1 there. Rounded are the two factors of every product of convolutions, linear maps and
attention, forwards and backwards; softmaxes, norms and sums are not. Where a U-Net's residual block
runs as one operator (``kernels/residual.py``), its images are in bfloat16 between convolutions and
norms, too.
``reference/precision.py`` defines the scale.
"""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from . import kernels


class MixedCell(nn.Cell):
    """A layer of which a part may be in half precision.

    Attributes:
        compute: the dtype that its products are computed in.
        result: the dtype of what it returns.
        inside: whether it can multiply bfloat16 where there are no arrays of it.
    """

    compute: Any = ms.float32
    result: Any = ms.float32
    inside: bool = False


def cast(x: Tensor, dtype: Any) -> Tensor:
    """x in that dtype; where it is already, no part of the graph."""
    return x if x.dtype == dtype else ops.cast(x, dtype)


def set_precision(network: nn.Cell, level: str, dtype: str) -> None:
    """Let a network compute at a level, from the next time that it is compiled.

    Args:
        network: a ``Unet``, or any part of it.
        level: "O0" to "O3".
        dtype: "float16" or "bfloat16", of what is not in float32.

    Raises:
        ValueError: the device cannot compute in that.
    """
    arrays = level == "O0" or check_dtype(dtype, level)
    low = ms.float32 if level == "O0" else getattr(ms, dtype)
    for name, cell in network.cells_and_names():
        if isinstance(cell, MixedCell):
            kept = level != "O3" and name.startswith(("time_mlp", "time_embed", "classes_mlp"))
            cell.compute = (
                low if (arrays or cell.inside) and (level == "O1" or not kept) else ms.float32
            )
            cell.result = ms.float32 if level == "O1" or kept else low


def needs_loss_scale(level: str, dtype: str) -> bool:
    """Whether small gradients vanish without a scale: float16 has nothing below 6e-8."""
    return level != "O0" and dtype == "float16"


def check_dtype(dtype: str, level: str = "O1") -> bool:
    """Whether the device has arrays of a half precision, tried with a few numbers.

    Without them, bfloat16 can still be what compiled operators multiply: at level O1.

    Raises:
        ValueError: nothing can be computed in it here.
    """
    low = getattr(ms, dtype)
    image = ops.ones((1, 1, 2, 2), ms.float32).astype(low)

    def products(x: Tensor) -> Tensor:
        x = ops.bmm(ops.Conv2D(1, 1)(x, x[:, :, :1, :1])[0], x[0]) + x[0]
        return ops.concat((x, ops.sigmoid(x)), 1).astype(ms.float32).sum()

    try:
        ms.grad(products)(image).astype(ms.float32).asnumpy()
    except (RuntimeError, TypeError, ValueError) as error:
        target = ms.get_context("device_target")
        if dtype != "bfloat16" or target != "CPU":
            why, remedy = "which cannot multiply matrices of it", "another, or amp_level O0"
        elif reason := kernels.why_no_bfloat16():
            why, remedy = reason, "another, or amp_level O0"
        elif level == "O1":
            return False
        else:
            why = f"at amp_level {level}: only compiled operators multiply it"
            remedy = "amp_level O1"
        raise ValueError(
            f"amp_dtype {dtype!r} is not available on device {target!r}, {why}: choose {remedy}"
        ) from error
    return True
