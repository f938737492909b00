"""Bugs in what several processes tell each other."""

from __future__ import annotations

from ..planting import Bug

DISTRIBUTED = [
    Bug(
        "gradients are summed over processes",
        "system.distributed.GradientReducer.mean",
        "self.all_reduce(message) * self.share",
        "self.all_reduce(message)",
        "distributed: means",
    ),
    Bug(
        "each process keeps its own loss",
        "system.distributed.GradientReducer.mean",
        "ops.slice(mean, (count,), (1,)).reshape(())",
        "loss",
        "distributed: means",
    ),
    Bug(
        "a process hears of its own wish to stop only",
        "system.distributed.GradientReducer.mean",
        "ops.assign(self.agreed, ops.slice(mean, (count + 1,), (1,)))",
        "ops.assign(self.agreed, self.wish)",
        "distributed: means",
    ),
    Bug(
        "what is accumulated is divided by the processes too late",
        "training.TrainStep.__init__",
        "reducer.mean(total, mean_loss + 0.0)",
        "reducer.mean(total / micro_batches, mean_loss + 0.0)",
        "distributed: steps",
    ),
    Bug(
        "processes that accumulate keep their own gradient",
        "training.TrainStep.__init__",
        "grad, value = reducer.mean(total, mean_loss + 0.0)",
        "grad, value = total + 0.0, reducer.mean(total, mean_loss + 0.0)[1]",
        "distributed: steps",
    ),
]
