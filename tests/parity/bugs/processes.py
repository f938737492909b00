"""Bugs in who of several processes does what, beyond what they tell each other."""

from __future__ import annotations

from ..planting import Bug

TOGETHER = "tests/accelerated/test_distributed.py::test_processes_together_see_what_one_sees"

PROCESSES = [
    Bug(
        "the mean over processes is taken over the others",
        "system.distributed.GradientReducer.__init__",
        "1.0 / world.size",
        "1.0 / max(1, world.size - 1)",
        "distributed: means",
    ),
    Bug(
        "the wish to stop is told as it was agreed before",
        "system.distributed.GradientReducer.mean",
        "self.wish))",
        "self.agreed))",
        "distributed: means",
    ),
    Bug(
        "the mean over processes leaves the loss to the first",
        "system.distributed.GradientReducer.mean",
        "loss.reshape(1)",
        "0.0 * loss.reshape(1)",
        "distributed: means",
    ),
    Bug(
        "every process takes the images of the first",
        "system.distributed.World.share",
        "self.rank * batch_size, (self.rank + 1) * batch_size",
        "0, batch_size",
        TOGETHER,
    ),
    Bug(
        "processes do not count each other's images",
        "trainer.batches.Batches._whole",
        "self._config.train_batch_size * self._world.size",
        "self._config.train_batch_size",
        TOGETHER,
    ),
    Bug(
        "micro-batches of several processes overlap",
        "trainer.batches.Batches._micro_batch",
        "range(i * whole + share.start, i * whole + share.stop)",
        "range(i * len(share) + share.start, i * len(share) + share.stop)",
        TOGETHER,
    ),
    Bug(
        "every process takes the stream's images of the first",
        "trainer.batches.Batches._read",
        "slice(positions.start - first, positions.stop - first)",
        "slice(len(positions))",
        TOGETHER,
    ),
    Bug(
        "a process compares itself with itself",
        "system.distributed.World.check_same",
        "everywhere[rank, i], everywhere[0, i]",
        "everywhere[rank, i], everywhere[rank, i]",
        "tests/accelerated/test_distributed.py::test_they_meet_and_see_whether_they_are_alike",
    ),
]
