"""One optimiser step from one or several micro-batches, on a loss whose gradient is known."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, ops
from numpy.typing import NDArray

from ddpm_mindspore.accelerated.batch import MicroBatch
from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.optimizer import Optimizer, step_scalars
from ddpm_mindspore.accelerated.training import TrainStep

Array = NDArray[np.float32]
OPTIONS = TrainerConfig(train_lr=0.1, ema_decay=0.5, ema_update_every=1, ema_update_after_step=0)


def batch(seed: int, size: int) -> MicroBatch:
    rng = np.random.default_rng(seed)
    x_0, noise = rng.standard_normal((2, size, 1, 2, 2)).astype(np.float32)
    return MicroBatch(x_0, np.arange(1, size + 1, dtype=np.int32), noise, np.ones(size, bool))


def joined(batches: list[MicroBatch]) -> MicroBatch:
    return MicroBatch(*(np.concatenate(parts) for parts in list(zip(*batches, strict=True))[:4]))


def make(micro_batches: int) -> tuple[Optimizer, TrainStep]:
    weight = Parameter(Tensor(np.full((2, 2), 0.5, np.float32)), name="weight")
    optimizer = Optimizer([weight], OPTIONS)

    def loss(x_0: Any, t: Any, noise: Any, self_cond_mask: Any, masks: Any, condition: Any) -> Any:
        error = (x_0 * weight - noise) * self_cond_mask
        return ops.mean(ops.square(error))

    return optimizer, TrainStep(loss, optimizer, micro_batches)


def run(
    optimizer: Optimizer, step: TrainStep, batches: list[list[MicroBatch]]
) -> list[list[float]]:
    out = []
    for number, of_step in enumerate(batches, 1):
        scalars = step_scalars(number, OPTIONS)
        out.append([float(v.asnumpy()) for v in step(of_step, scalars)])
    return out


def test_several_micro_batches_do_what_their_union_does() -> None:
    parts = [[batch(10 * step + i, 2) for i in range(3)] for step in range(3)]
    whole = make(1)
    split = make(3)
    one = run(*whole, [[joined(of_step)] for of_step in parts])
    three = run(*split, parts)
    np.testing.assert_allclose(three, one, rtol=1e-5)
    for name, vector in whole[0].vectors().items():
        np.testing.assert_allclose(split[0].vectors()[name], vector, rtol=1e-4, err_msg=name)
    assert not np.allclose(whole[0].vectors()["params"], 0.5, atol=0.1)


def test_loss_and_norm_are_those_before_the_update() -> None:
    optimizer, step = make(1)
    only = batch(5, 4)
    ((loss, norm),) = run(optimizer, step, [[only]])
    error = 0.5 * only.x_0 - only.noise
    slope = (2 * error * only.x_0).sum(axis=(0, 1)) / error.size
    assert loss == pytest.approx(float((error**2).mean()), rel=1e-5)
    assert norm == pytest.approx(float(np.linalg.norm(slope)), rel=1e-5)
    # The first step of Adam is the learning rate, whatever the gradient's length.
    moved = optimizer.vectors()["params"].reshape(2, 2) - 0.5
    np.testing.assert_allclose(moved, -0.1 * np.sign(slope), rtol=1e-4)


def test_a_micro_batch_becomes_tensors_of_the_types_that_graphs_expect() -> None:
    x_0, levels, noise, self_cond_mask, masks, condition = batch(0, 3).tensors()
    assert (x_0.dtype, levels.dtype, noise.dtype) == (ms.float32,) * 3
    assert self_cond_mask.shape == (3, 1, 1, 1) and self_cond_mask.dtype == ms.float32
    assert masks is None and condition is None
    kept = [np.array([[True, False]]), np.array([[False]])]
    masks = batch(0, 3)._replace(dropout_masks=kept).tensors()[4]
    assert masks is not None
    assert [m.asnumpy().tolist() for m in masks] == [[[1.0, 0.0]], [[0.0]]]
    assert all(m.dtype == ms.float32 for m in masks)


def test_the_wrong_number_of_micro_batches_is_an_error() -> None:
    _, step = make(1)
    with pytest.raises(ValueError, match="too many values"):
        step([batch(0, 2), batch(1, 2)], step_scalars(1, OPTIONS))
