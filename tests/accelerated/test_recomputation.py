"""Training that computes activations twice: the same numbers, in less memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from ddpm_mindspore.accelerated import kernels
from ddpm_mindspore.accelerated.kernels import in_lanes
from ddpm_mindspore.accelerated.system.runtime import KERNELS

UPDATES = """
import hashlib, json, sys
import numpy as np
from ddpm_mindspore.accelerated import GaussianDiffusion, Unet
from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.networks.text_unet import TextUnet
from ddpm_mindspore.accelerated.optimizer import Optimizer, step_scalars
from ddpm_mindspore.accelerated.trainer.recomputation import recompute
from ddpm_mindspore.accelerated.training import TrainStep

kind, again, size, batch, options = json.loads(sys.argv[1])
model = (Unet if kind == "unet" else TextUnet)(**options)
if again:
    recompute(model)
diffusion = GaussianDiffusion(model, image_size=size, timesteps=10)
config = TrainerConfig()
optimizer = Optimizer(model.trainable_params(), config)
step = TrainStep(diffusion.loss, optimizer)
x_0 = np.random.default_rng(0).standard_normal((batch, model.config.channels, size, size))
texts = np.ones((batch, model.config.length), np.int32) if kind == "text" else None
told = []
for i in (1, 2):
    inputs = diffusion.micro_batch(x_0.astype(np.float32), i, range(batch), 0, texts)
    loss, norm = step([inputs], step_scalars(i, config))
    told += [float(loss.asnumpy()), float(norm.asnumpy())]
params = hashlib.sha256(optimizer.own().tobytes()).hexdigest()
print("told", json.dumps([told, params]))
"""


def updates(*given: Any) -> tuple[list[Any], int]:
    """Losses, norms and a digest of the parameters; and how many MB arrays take at their peak.

    That is by MindSpore's own count: at this size, compiling takes more memory than arrays do.
    """
    words = [sys.executable, "-c", UPDATES, json.dumps(given)]
    counted = os.environ | {"MS_DEV_RUNTIME_CONF": "memory_statistics:True"}
    done = subprocess.run(words, env=counted, stdout=subprocess.PIPE, text=True, check=True)
    told = re.search(r"^told (.*)$", done.stdout, re.MULTILINE)
    peak = re.search(r"actual peak used mem:(\d+)M", done.stdout)
    assert told and peak, done.stdout
    return json.loads(told[1]), int(peak[1])


UNET = {"dim": 16, "dim_mults": (1,), "attn_heads": 1, "attn_dim_head": 16}
TEXT = {
    **{"dim": 32, "dim_mults": (1, 2), "blocks": 1, "context_dim": 32, "text_layers": 1},
    **{"length": 8, "vocabulary": 50, "cond_drop_prob": 0.0},
}


def case(*values: Any, mark: Any = pytest.mark.slow) -> Any:
    return pytest.param(*values, marks=mark)


@pytest.mark.parametrize(
    ("stock", "kind", "size", "batch", "options", "share"),
    [
        case(False, "unet", 64, 16, UNET, 0.9 if in_lanes() else 1.0),
        case(False, "unet", 64, 8, {**UNET, "dropout": 0.1}, 1.0, mark=pytest.mark.nightly),
        case(False, "text", 32, 16, TEXT, 0.9, mark=pytest.mark.nightly),
        case(True, "unet", 32, 8, {**UNET, "dropout": 0.1}, 0.9, mark=pytest.mark.nightly),
        case(True, "text", 16, 8, TEXT, 0.9, mark=pytest.mark.nightly),
    ],
)
def test_the_same_numbers_in_less_memory(
    stock: bool,
    kind: str,
    size: int,
    batch: int,
    options: dict[str, Any],
    share: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if stock:
        monkeypatch.setenv(KERNELS, "stock")
    elif not kernels.in_use():
        pytest.skip("there are no compiled operators")
    told, most = updates(kind, False, size, batch, options)
    again, least = updates(kind, True, size, batch, options)
    assert again == told
    assert least <= share * most
