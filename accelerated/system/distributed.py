"""Data parallel training: which part of an update each process does, and what they agree on.

``msrun`` starts N processes with a device each, and each of them runs the same program. An update
that one process would do with a batch of N b images is done by N processes with b images each: the
mean of their gradients is the gradient of the mean. Nothing else is exchanged, since parameters,
moments and averages start equal, and equal gradients keep them so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, ops
from numpy.typing import NDArray

from .runtime import join_job


@dataclass(frozen=True)
class World:
    """The processes of a job: this one's number 0..size - 1, and how many there are."""

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls) -> World:
        """Meet the other processes that ``msrun`` has started; call it after choosing a device.

        Raises:
            ValueError: ``msrun`` has started nothing, or the others do not come.
        """
        return cls(*join_job())

    @property
    def leads(self) -> bool:
        """Whether this process writes files and messages: the others do not."""
        return self.rank == 0

    def share(self, batch_size: int) -> range:
        """The places of this process's images among the ``size * batch_size`` of a micro-batch."""
        return range(self.rank * batch_size, (self.rank + 1) * batch_size)

    def gather(self, values: NDArray[Any]) -> NDArray[Any]:
        """Every process's values, float32 or int32 of one shape, in order: (size, *shape).

        All processes must call it, and wait in it for each other.
        """
        if self.size == 1:
            return values[np.newaxis]
        # As one dimension: the operator joins along the first, which a scalar has not.
        joined = ops.AllGather()(Tensor(values.reshape(-1))).asnumpy()
        return np.asarray(joined).reshape(self.size, *values.shape)

    def wait(self) -> None:
        """Return when every process has called this."""
        self.gather(np.zeros(1, np.int32))

    def check_same(self, parts: Mapping[str, bytes]) -> None:
        """See that all processes hold the same; ``parts``: what, in words, to its content.

        Raises:
            ValueError: the first part that is not the same everywhere, in every process.
        """
        hashes = [hashlib.sha256(content).digest() for content in parts.values()]
        own = np.frombuffer(b"".join(hashes), np.int32).reshape(len(parts), -1)
        everywhere = self.gather(own)
        for i, name in enumerate(parts):
            for rank in range(1, self.size):
                if not np.array_equal(everywhere[rank, i], everywhere[0, i]):
                    raise ValueError(
                        f"{name} of process {rank} differs from that of process 0: give all "
                        "processes the same options, the same images and one results folder"
                    )


ALONE = World()
"""One process, which is what everything is when nothing is said."""


@ms.jit_class
class GradientReducer:
    """The mean of gradient and loss over all processes, inside a compiled step.

    In the same message travels whether a process has been asked to stop, so that all of them hear
    of it after the same update. For a world of one nothing is compiled into the step at all.

    Args:
        world: who takes part.
        all_reduce: in the place of MindSpore's sum over all processes.
    """

    def __init__(self, world: World, all_reduce: Callable[[Tensor], Tensor] | None = None) -> None:
        self.shared = world.size > 1
        self.share = 1.0 / world.size
        if self.shared:
            self.all_reduce = ops.AllReduce() if all_reduce is None else all_reduce
            self.wish = _flag("wish to stop")
            self.agreed = _flag("agreed to stop")

    def mean(self, grad: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
        """Averages of the gradient (N,) and of the loss, a scalar (in a compiled graph)."""
        if not self.shared:
            return grad, loss
        count = grad.shape[0]
        message = ops.concat((grad, loss.reshape(1), self.wish))
        mean = self.all_reduce(message) * self.share
        ops.assign(self.agreed, ops.slice(mean, (count + 1,), (1,)))
        return ops.slice(mean, (0,), (count,)), ops.slice(mean, (count,), (1,)).reshape(())

    def stops(self, interrupted: bool) -> bool:
        """Whether to stop after the update that was done last.

        Args:
            interrupted: whether this process is asked to. Alone it is obeyed at once; among others
                it is told them with the next update.
        """
        if not self.shared:
            return interrupted
        agreed = bool(self.agreed.asnumpy()[0] > 0)
        wish = float(interrupted and not agreed)
        if wish != self.wish.asnumpy()[0]:
            ops.assign(self.wish, Tensor([wish], ms.float32))
        return agreed


def _flag(name: str) -> Parameter:
    return Parameter(Tensor([0.0], ms.float32), name=name, requires_grad=False)
