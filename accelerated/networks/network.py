"""What a network has to have, whatever it is made of: a configuration, and parameters by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from ...reference.config import NetworkConfig
from .layers import Embedding, classes_mlp, gelu, time_mlp


class Weighted(nn.Cell):
    """What has parameters by name."""

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Host copies of all parameters by name."""
        return {p.name: p.asnumpy().copy() for p in self.get_parameters()}

    def load_arrays(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Set all parameters from arrays by name.

        Raises:
            ValueError: names or shapes that are not this network's.
        """
        parameters = {p.name: p for p in self.get_parameters()}
        differing = sorted(parameters.keys() ^ arrays.keys())
        if differing:
            raise ValueError(
                f"parameter {differing[0]!r} is in only one of the network and the weights "
                f"({len(differing)} such): give weights of this configuration"
            )
        for name, parameter in parameters.items():
            if tuple(parameter.shape) != arrays[name].shape:
                raise ValueError(
                    f"parameter {name!r} has shape {tuple(parameter.shape)} in the network and "
                    f"{arrays[name].shape} in the weights: give weights of this configuration"
                )
        self.set_arrays(arrays)

    def set_arrays(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Set the parameters of these names, of the shapes that they have."""
        # In place: a compiled graph goes on with the memory that it has run with once.
        for parameter in self.get_parameters():
            if parameter.name in arrays:
                ops.assign(parameter, Tensor(arrays[parameter.name].astype(np.float32)))


class Network(Weighted):
    """``construct(x, time, x_self_cond, dropout_masks)``, and a condition last where it takes one.

    Attributes:
        config: channels of x and of the output, self-conditioning, dropout, and which sizes fit.
        conditional: whether it is told what each item is: its label, or a picture.
        captioned: whether it is told what is said of each item.
    """

    config: NetworkConfig
    conditional: bool = False
    captioned: bool = False

    def beside(self) -> Network:
        """Another network of this configuration, for weights of its own."""
        return type(self)(**self.config.to_dict())

    def dropout_shapes(self, image_size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Shape (C, *spatial) of each residual block's dropout mask, in forward order."""
        return self.config.dropout_shapes(image_size)

    def make_embedding(self, rng: np.random.Generator) -> None:
        """Make what the time is told by, and a class, where the configuration has any."""
        config = self.config
        self.has_self_condition = config.self_condition
        self.conditional, self.has_classes = config.takes_condition, config.num_classes is not None
        self.time_mlp = time_mlp(rng, config)
        if config.num_classes is not None:
            self.classes_emb = Embedding(rng, config.num_classes + 1, config.dim)
            self.classes_mlp = classes_mlp(rng, config)

    def embedded(self, time: Tensor, condition: Tensor | None) -> Tensor:
        """What every block is told of the time and the class of each item (B,): (B, time_dim)."""
        t = self.time_mlp[1](self.time_mlp[0](time))
        t = self.time_mlp[3](gelu(t))
        if self.has_classes:
            told = self.classes_mlp[0](self.classes_emb(condition))
            t = t + self.classes_mlp[2](gelu(told))
        return ops.silu(t)

    def with_estimate(self, x: Tensor, x_self_cond: Tensor | None) -> Tensor:
        """x after the last estimate of x_0 (zeros where None), where the network reads it."""
        if self.has_self_condition:
            if x_self_cond is None:
                x_self_cond = ops.zeros_like(x)
            x = ops.concat((x_self_cond, x), 1)
        return x
