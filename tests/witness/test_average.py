"""The moving average is that of ``ema-pytorch``, from which the package's Trainer takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.accelerated import optimizer as accelerated
from ddpm_mindspore.reference.optimizer import ema_update, ema_weight

STEPS = 130


@pytest.mark.parametrize(
    ("decay", "every", "after"),
    [(0.995, 10, 100), (0.995, 1, 100), (0.9, 3, 10), (0.5, 1, 0), (1.0, 10, 100)],
)
def test_every_update_of_the_average(
    decay: float, every: int, after: int, peer: Any, table: Any
) -> None:
    """It moves after the same steps, copies exactly, and else is off by its float32 weight."""
    torch = peer.torch
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3).double()
    ema = peer.EMA(model, beta=decay, update_every=every, update_after_step=after)
    ours, worst = parameters(model), 0.0
    for step in range(1, STEPS + 1):
        for p in model.parameters():
            p.data.add_(torch.randn_like(p))
        before = parameters(ema.ema_model)
        ema.update()
        weight = ema_weight(step, decay, every, after)
        assert accelerated.ema_weight(step, decay, every, after) == pytest.approx(weight)
        ours, theirs = ema_update(ours, parameters(model), weight), parameters(ema.ema_model)
        for name, array in theirs.items():
            assert (array != before[name]).any() == (weight < 1.0), step
            if weight == 0.0:
                np.testing.assert_array_equal(ours[name], array, f"step {step}")
            worst = max(worst, float(np.max(np.abs(ours[name] - array))))
    table.add(f"average, decay {decay}, every {every}, after {after}", f"{worst:.1e}", "1e-5")
    assert worst <= 1e-5  # a step moves a parameter by about 1


def parameters(module: Any) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy().copy() for name, p in module.named_parameters()}
