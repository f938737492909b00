"""A network of a few numbers on both sides, which stands in for the U-Net.

What surrounds the network (batches, the trainer, samplers, files) is the same whatever the network
is; the U-Net costs seconds to compile, this one a fraction of it. It is given everything that the
U-Net is given, and shows in its output whatever of it is wrong: x, the time, an estimate of x_0,
dropout masks, a class or a picture; it has parameters that decay, that do not, and one that is not
trained.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from unittest import mock

import autograd.numpy as anp
import mindspore as ms
import numpy as np
from autograd.tracer import getval
from mindspore import Parameter, Tensor, nn, ops

from ...accelerated.networks import table, unet
from ...reference.config import UnetConfig
from ...reference.networks import table as reference_table
from ...reference.networks.layers import Array as Value
from ...reference.networks.layers import Params, class_embedding, silu

CHANNEL = (1, -1, 1, 1)


class Affine(nn.Cell):
    """``weight x + bias`` for each channel."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = Parameter(weight), Parameter(bias)

    def construct(self, x: Tensor) -> Tensor:
        return self.weight.reshape(1, -1, 1, 1) * x + self.bias.reshape(1, -1, 1, 1)


class SmallNetwork(unet.Unet):
    """See :func:`small_network`, which defines it; the arguments are those of ``Unet``."""

    config: UnetConfig

    def __init__(self, dim: int, *, seed: int = 0, **options: Any) -> None:
        nn.Cell.__init__(self)
        self.config = UnetConfig(dim=dim, **options)
        rng = np.random.default_rng(seed)

        def draw() -> Tensor:
            # Small, so that estimates of x_0 seldom leave [-1, 1]: what is clipped shows nothing.
            values = rng.uniform(-0.6, 0.6, self.config.channels)
            return Tensor(values, ms.float32)

        self.inner = Affine(draw(), draw())
        self.estimate = Affine(draw(), draw())
        self.time = Affine(draw(), draw())
        self.outer = Affine(draw(), draw())
        if self.config.learned_variance:
            self.spread = Affine(draw(), draw())
        self.frequency = Parameter(draw(), requires_grad=False)
        self.conditional = self.config.takes_condition
        if self.config.num_classes is not None:
            rows = [draw().asnumpy() for _ in range(self.config.num_classes + 1)]
            self.of_class = Parameter(Tensor(np.stack(rows)))
        if self.config.cond_channels:
            self.shown = Affine(draw(), draw())
        self.kept_scale = 1.0 / (1.0 - self.config.dropout)
        for name, parameter in self.parameters_and_names():
            parameter.name = name

    def construct(
        self,
        x: Tensor,
        time: Tensor,
        x_self_cond: Tensor | None = None,
        dropout_masks: tuple[Tensor, ...] | None = None,
        condition: Tensor | None = None,
    ) -> Tensor:
        angle = 0.01 * time.reshape(-1, 1, 1, 1) * self.frequency.reshape(1, -1, 1, 1)
        h = self.inner(x) + self.time(ops.cos(angle))
        if self.config.self_condition:
            h = h + self.estimate(ops.zeros_like(x) if x_self_cond is None else x_self_cond)
        if self.config.cond_channels:
            h = h + self.shown(condition)
        if self.config.num_classes is not None:
            h = h + ops.gather(self.of_class, condition, 0).reshape(x.shape[0], -1, 1, 1)
        h = ops.silu(h)
        if dropout_masks is not None:
            h = h * dropout_masks[0] * self.kept_scale + dropout_masks[1]
        if self.config.learned_variance:
            return ops.concat((self.outer(h), self.spread(h)), 1)
        return self.outer(h)

    def dropout_shapes(self, image_size: tuple[int, ...]) -> list[tuple[int, ...]]:
        return dropout_shapes(self.config, image_size)


def dropout_shapes(config: UnetConfig, image_size: Sequence[int]) -> list[tuple[int, ...]]:
    """(C, H, W) of both masks."""
    return [(config.channels, image_size[0], image_size[1])] * 2


def small_network(
    params: Params,
    config: UnetConfig,
    x: Value,
    time: Value,
    x_self_cond: Value | None = None,
    dropout_masks: Sequence[Value] | None = None,
    condition: Value | None = None,
) -> Value:
    """outer(silu(inner(x) + time(cos(t f / 100)) + estimate(x0_hat) + of_class[condition]) keep_1 /
    (1 - p) + keep_2).

    inner, time, estimate and outer multiply each channel by a number, and add another; with a
    learned variance spread gives a second half of channels, as outer does. The estimate is there
    where the network is self-conditioned, the class where it has classes, shown(condition) in its
    place where it is shown a picture, of as many channels as x, and the masks where there are any.
    The arguments are those of ``reference.unet.unet``.
    """

    def affine(name: str, x: Value) -> Value:
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        return anp.reshape(weight, CHANNEL) * x + anp.reshape(bias, CHANNEL)

    column = np.asarray(time, x.dtype).reshape(-1, 1, 1, 1)
    angle = 0.01 * column * np.reshape(getval(params["frequency"]), CHANNEL)
    h = affine("inner", x) + affine("time", anp.cos(angle))
    if config.self_condition:
        h = h + affine("estimate", anp.zeros_like(x) if x_self_cond is None else x_self_cond)
    if config.num_classes is not None:
        rows = class_embedding(condition, params["of_class"])
        h = h + anp.reshape(rows, (len(x), -1, 1, 1))
    if config.cond_channels:
        h = h + affine("shown", np.asarray(condition, x.dtype))
    h = silu(h)
    if dropout_masks is not None:
        first, second = (mask.astype(x.dtype) for mask in dropout_masks)
        h = h * first / (1.0 - config.dropout) + second
    if config.learned_variance:
        return anp.concatenate((affine("outer", h), affine("spread", h)), axis=1)
    return affine("outer", h)


@contextlib.contextmanager
def in_place_of_the_unet(wanted: bool = True) -> Iterator[None]:
    """Within it, if it is wanted, everything on both sides uses the small network."""
    if not wanted:
        yield
        return
    small = reference_table.NETWORKS["unet"]._replace(apply=small_network)
    with (
        mock.patch.object(table, "network_class", lambda config: SmallNetwork),
        mock.patch.dict(reference_table.NETWORKS, {"unet": small}),
    ):
        yield
