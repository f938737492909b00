"""What a network has to have, whatever it is made of: a configuration, and parameters by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from ...reference.config import NetworkConfig
from .layers import Embedding, classes_mlp, gelu


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
        # In place: a compiled graph goes on with the memory that it has run with once.
        for name, parameter in parameters.items():
            ops.assign(parameter, Tensor(arrays[name].astype(np.float32)))


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

    def dropout_shapes(self, image_size: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Shape (C, *spatial) of each residual block's dropout mask, in forward order."""
        return self.config.dropout_shapes(image_size)

    def make_classes(self, rng: np.random.Generator) -> None:
        """Make what a class is told by, where the configuration has any."""
        config = self.config
        self.conditional, self.has_classes = config.takes_condition, config.num_classes is not None
        if config.num_classes is not None:
            self.classes_emb = Embedding(rng, config.num_classes + 1, config.dim)
            self.classes_mlp = classes_mlp(rng, config)

    def with_class(self, embedding: Tensor, condition: Tensor | None) -> Tensor:
        """The embedding of the time, (B, time_dim), and of the class of each item (B,)."""
        if self.has_classes:
            told = self.classes_mlp[0](self.classes_emb(condition))
            embedding = embedding + self.classes_mlp[2](gelu(told))
        return embedding
