"""Activations that are computed a second time, where a gradient needs them, rather than kept.

The same numbers by the same operations, of which a third more are done (arXiv 1604.06174). Noise
and dropout masks are arguments, and so the same both times.

Of MindSpore's own operators, as on a card, blocks keep nothing but what goes into them
(``Cell.recompute``). That leaves compiled operators as they are, which have gradients of their own:
those are marked one by one, and what MindSpore's own make between them is kept; a residual block
that is one operator keeps nothing but what goes into it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any

from mindspore import Tensor, nn

from .. import kernels
from ..kernels.residual import CompiledResidualBlock
from ..networks.attention import Attention, LinearAttention
from ..networks.conditioning import SpatialTransformer
from ..networks.latent_unet import ResidualBlock
from ..networks.layers import ResnetBlock
from ..networks.transformer import Block

GRADIENTS = "Gradients"
"""The scope in which MindSpore looks for what needs a result that is computed again."""


BLOCKS = (ResnetBlock, Attention, LinearAttention, ResidualBlock, SpatialTransformer, Block)
"""None of them is within another."""


def recompute(network: nn.Cell) -> None:
    """Let a network keep less for its gradients, from the next time that it is compiled."""
    if not kernels.in_use():
        for _, cell in network.cells_and_names():
            if isinstance(cell, BLOCKS):
                cell.recompute()
                cell.recomputed = True  # by which a kept graph is told apart
        return
    for _, operator in [*network.cells_and_names()]:
        if isinstance(operator, CompiledResidualBlock):
            operator.again = True
        elif operator.has_bprop and "bprop" not in vars(operator):
            for operation in operator._primitives.values():
                operation.recompute()
            _give_scope(operator)


class Backward(nn.Cell):
    """The gradient of an operator, in a scope of its own.

    Args:
        own: its ``bprop``.
    """

    def __init__(self, own: Any) -> None:
        super().__init__(auto_prefix=False)
        self.own = own
        self._scope = GRADIENTS

    def construct(self, *args: Tensor) -> Any:
        return self.own(*args)


def _give_scope(operator: nn.Cell) -> None:
    """A ``bprop`` is in the scope of its operator else, as if it were no gradient."""
    operator.backward = Backward(operator.bprop)
    inputs = len(inspect.signature(operator.construct).parameters)
    operator.bprop = MethodType(_OF_INPUTS[inputs], operator)


# A graph knows no ``bprop`` of any number of arguments.


def _of_one(self, x, out, dout):  # type: ignore[no-untyped-def]
    return self.backward(x, out, dout)


def _of_two(self, x, y, out, dout):  # type: ignore[no-untyped-def]
    return self.backward(x, y, out, dout)


def _of_three(self, x, y, z, out, dout):  # type: ignore[no-untyped-def]
    return self.backward(x, y, z, out, dout)


def _of_four(self, x, y, z, mask, out, dout):  # type: ignore[no-untyped-def]
    return self.backward(x, y, z, mask, out, dout)


_OF_INPUTS: dict[int, Callable[..., Any]] = {1: _of_one, 2: _of_two, 3: _of_three, 4: _of_four}
