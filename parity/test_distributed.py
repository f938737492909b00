"""Several processes: gradients and losses are averaged over them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np
from hypothesis import given
from mindspore import Parameter, Tensor, ops

from ddpm_mindspore.accelerated.system.distributed import GradientReducer, World
from ddpm_mindspore.parity.examples.training import exchange_cases, world_cases
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import deep, elementwise
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, network
from ddpm_mindspore.parity.sides.network import Options, Schedule
from ddpm_mindspore.parity.test_training import in_reference, restore, state_by_name, train_step


@budget.examples(0.3)
@given(case=exchange_cases())
def test_means(case: Case) -> None:
    """gradient and loss are means over the processes, and one wish to stop is enough"""
    means(**case)


@reproducible
def means(
    size: int,
    count: int,
    scale: float,
    wishes: int,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``size`` processes with gradients of ``count`` numbers, ``wishes`` of them to be stopped.

    This is one of them, and does all that it would do among others; the sum of what the others say
    is added here in the place of MindSpore's own operator, which needs real processes.
    """
    said = device.draw(seed, (size, count + 2), scale)
    said[:, -1] = np.arange(size) < wishes
    share = 1.0 / size
    expected = share * said.astype(np.float64).sum(axis=0)
    # size - 1 additions, the rounding of 1 / size, and the product with it.
    bound = elementwise(size + 1, *(share * said))
    reducer, others, _ = _reducer(size, count)
    ops.assign(others, Tensor(said[1:].sum(axis=0)))
    ops.assign(reducer.wish, Tensor(said[0, -1:]))
    for mode in modes:
        ops.assign(reducer.agreed, Tensor(np.full(1, -1.0, np.float32)))
        grad, loss = device.run(mode, reducer.mean, said[0, :-2], said[0, -2])
        check(f"gradient ({mode})", grad, expected[:-2], bound[:-2])
        check(f"loss ({mode})", loss, expected[-2], bound[-2])
        check(f"agreed to stop ({mode})", reducer.agreed.asnumpy()[0], expected[-1], bound[-1])


@budget.examples(0.05)
@given(case=world_cases())
def test_steps(case: Case) -> None:
    """processes with some micro-batches each do what one does with all of their images"""
    steps(**case, modes=("eager",))


@reproducible
def steps(
    net: Options,
    size: Sequence[int],
    batch: int,
    accumulate: int,
    count: int,
    schedule: Schedule,
    training: Options,
    processes: int,
    seed: int,
    modes: Sequence[str] = device.MODES,
) -> None:
    """``count`` steps of ``processes``, each with ``accumulate`` micro-batches of ``batch`` images.

    This is all of them, one after another: first each of the others, whose message is kept and
    whose update is taken back, then the first one, which is told the sum of their messages.
    """
    config = network.training_config(training)
    params = network.parameters(net, seed)
    shape = (count, processes * accumulate, batch)
    batches = network.steps_of_batches(net, size, schedule, shape, seed)
    expected, bounds = deep(in_reference(net, schedule, config, batches), params)
    unet = network.network(net)
    reducer, others, own = _reducer(processes, sum(p.size for p in unet.trainable_params()))
    step, optimizer = train_step(unet, config, accumulate, reducer=reducer)
    for mode in modes:
        restore(unet, optimizer, params)
        for i, micro in enumerate(batches, start=1):
            shares = [micro[r : r + accumulate] for r in range(0, len(micro), accumulate)]
            before, heard = optimizer.vectors(), np.zeros(others.shape, np.float32)
            for share in (*shares[1:], shares[0]):
                ops.assign(others, Tensor(heard))
                optimizer.restore(before)
                with device.eager() if mode == "eager" else nullcontext():
                    loss, norm = step(
                        [b.on_device(schedule, config) for b in share],
                        network.step_scalars(config, i),
                    )
                heard = heard + own.asnumpy()
            for name, value in (("loss", loss), ("norm", norm)):
                key = f"{name} {i}"
                check(f"{key} ({mode})", value.asnumpy(), expected[key], bounds[key])
        for name, vector in state_by_name(optimizer).items():
            check(f"{name} ({mode})", vector, expected[name], bounds[name])


@device.remembered
def _reducer(size: int, count: int) -> tuple[GradientReducer, Parameter, Parameter]:
    """For gradients of ``count`` numbers: what the others say, and what this process has said."""
    nothing = np.zeros(count + 2, np.float32)
    others = Parameter(Tensor(nothing), name="others", requires_grad=False)
    own = Parameter(Tensor(nothing), name="own", requires_grad=False)

    def all_reduce(message):  # type: ignore[no-untyped-def]
        ops.assign(own, message)
        return message + others

    return GradientReducer(World(0, size), all_reduce), others, own
