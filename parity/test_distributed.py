"""Several processes: gradients and losses are averaged over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from mindspore import Parameter, Tensor, ops

from ddpm_mindspore.accelerated.distributed import Exchange, World
from ddpm_mindspore.parity import budget, device, strategies
from ddpm_mindspore.parity.compare import check, reproducible
from ddpm_mindspore.parity.tolerance import elementwise


@budget.examples(0.3)
@given(case=strategies.exchange_cases())
def test_means(case: strategies.Case) -> None:
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
    exchange, others = _exchange(size, count)
    ops.assign(others, Tensor(said[1:].sum(axis=0)))
    ops.assign(exchange.wish, Tensor(said[0, -1:]))
    for mode in modes:
        ops.assign(exchange.agreed, Tensor(np.full(1, -1.0, np.float32)))
        grad, loss = device.run(mode, exchange.mean, said[0, :-2], said[0, -2])
        check(f"gradient ({mode})", grad, expected[:-2], bound[:-2])
        check(f"loss ({mode})", loss, expected[-2], bound[-2])
        check(f"agreed to stop ({mode})", exchange.agreed.asnumpy()[0], expected[-1], bound[-1])


@device.remembered
def _exchange(size: int, count: int) -> tuple[Exchange, Parameter]:
    others = Parameter(Tensor(np.zeros(count + 2, np.float32)), name="others")

    def all_reduce(message):  # type: ignore[no-untyped-def]
        return message + others

    return Exchange(World(0, size), all_reduce), others
