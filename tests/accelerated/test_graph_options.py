"""Kept graphs: everything that changes the graphs of training and sampling has a key of its own.

A key that ignores an option hands a run the graph of another run, which then computes something
else without a word. Nothing is compiled here: keys are told apart.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import fields
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from ddpm_mindspore.accelerated import GaussianDiffusion, Unet
from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.optimizer import Optimizer, StepScalars
from ddpm_mindspore.accelerated.precision import set_precision
from ddpm_mindspore.accelerated.system.distributed import GradientReducer, World
from ddpm_mindspore.accelerated.system.fingerprint import fingerprint
from ddpm_mindspore.accelerated.trainer.recomputation import recompute
from ddpm_mindspore.accelerated.training import TrainStep
from ddpm_mindspore.reference.config import DiffusionConfig, SamplingConfig, UnetConfig

SIZE = (4, 8)
NET: dict[str, Any] = {
    "dim": 8, "dim_mults": (1,), "channels": 2, "attn_heads": 2, "attn_dim_head": 4,
    "learned_sinusoidal_dim": 8,
}  # fmt: skip
DIFFUSION: dict[str, Any] = {"timesteps": 20, "objective": "pred_v"}

# One other value of each option that a graph depends on; the second column: of what.
NETS = {
    "dim": 16,
    "init_dim": 6,
    "dim_mults": (2,),
    "channels": 1,
    "self_condition": True,
    "learned_variance": True,
    "learned_sinusoidal_cond": True,
    "random_fourier_features": True,
    "sinusoidal_pos_emb_theta": 100.0,
    "dropout": 0.25,
    "attn_heads": 4,
    "attn_dim_head": 8,
    "full_attn": True,
    "num_classes": 3,
    "cond_channels": 2,
}
DIFFUSIONS = {"loss_type": "huber"}
OPTIMIZERS = {
    "adam_betas": (0.8, 0.99),
    "max_grad_norm": 2.0,
    "weight_decay": 0.1,
    "ema_sigma_rels": (0.1,),
}
# What the host makes numbers of, which it hands to one and the same graph.
HOST = {
    "timesteps": 21,
    "objective": "pred_x0",
    "beta_schedule": "cosine",
    "zero_terminal_snr": True,
    "p2_loss_weight_gamma": 1.0,
    "min_snr_loss_weight": True,
    "vlb_weight": 0.1,
    "time_distribution": "uniform",
    "offset_noise": 0.1,
    "immiscible": True,
}
WALKS = {"sampler", "sampling_timesteps", "spacing", "eta", "cond_scale"}
# Of a graph that is no training step's, of the host, or of a part that is trained nowhere; or of no
# effect but with another option.
DRAWING = {"auto_normalize", "clip_denoised", "dynamic_threshold"}
WITH_A_SAMPLER = {
    *("variance", "order", "variant"),
    *("s_churn", "s_tmin", "s_tmax", "s_noise"),
}
GUIDED = {f.name for f in fields(SamplingConfig) if f.name.startswith("guidance_")}
UNTRAINED = {"out_dim", "cond_drop_prob"}
WITH_ANOTHER = {"learned_sinusoidal_dim", "p2_loss_weight_k", "min_snr_gamma"}
WITH_ANOTHER |= {"sigma_data", "p_mean", "p_std"}


def batch(count: int = 2, masks: int | None = None, dtype: Any = np.float32) -> tuple[Any, ...]:
    image = Tensor(np.zeros((count, 2, *SIZE), dtype))
    given = None if masks is None else ms.mutable(tuple(image for _ in range(masks)))
    times = Tensor(np.ones(count, np.int32))
    return (image, times, image, Tensor(np.zeros((count, 1, 1, 1), np.float32)), given)


@lru_cache
def network(options: tuple[tuple[str, Any], ...]) -> Unet:
    """One of these options; a key has nothing of what its parameters hold."""
    return Unet(**dict(options))


def training(
    net: dict[str, Any] | None = None,
    diffusion: dict[str, Any] | None = None,
    optimizer: dict[str, Any] | None = None,
    level: str = "O0",
    processes: int = 1,
    arguments: tuple[Any, ...] | None = None,
    recomputed: bool = False,
    **options: Any,
) -> str:
    """The key of a training step's graph."""
    model = Unet(**NET) if recomputed else network(tuple({**NET, **(net or {})}.items()))
    if recomputed:
        recompute(model)
    set_precision(model, level, "float16")
    made = GaussianDiffusion(model, image_size=SIZE, **{**DIFFUSION, **(diffusion or {})})
    updates = Optimizer(model.trainable_params(), TrainerConfig(**(optimizer or {})))
    reducer = GradientReducer(World(0, processes), _sum) if processes > 1 else None
    step = TrainStep(made.loss, updates, reducer=reducer, **options)
    scalars = StepScalars(0.1, 0.1, 0.1, 0.1, 0.1, ()).tensors()
    given = (*(arguments or batch()), Tensor(1.0, ms.float32), *scalars)
    return fingerprint(step._whole._function, given)  # type: ignore[attr-defined]


def sampling(diffusion: dict[str, Any] | None = None, net: dict[str, Any] | None = None) -> str:
    """The key of a sampling step's graph."""
    model = network(tuple({**NET, **(net or {})}.items()))
    set_precision(model, "O0", "float16")
    made = GaussianDiffusion(model, image_size=SIZE, **{**DIFFUSION, **(diffusion or {})})
    image, times, *_ = batch()
    scalar = Tensor(1.0, ms.float32)
    arguments = (image, times, image, image, scalar, scalar, scalar)
    step = made._guidance(made.sampling).plain
    return fingerprint(step._function, arguments)  # type: ignore[attr-defined]


def _sum(message: Tensor) -> Tensor:
    return message


def test_every_option_of_a_graph_is_told_apart() -> None:
    fourier = {"learned_sinusoidal_cond": True}
    keys = {"nothing": training(), "scaled": training(scaled=True), "two": training(processes=2)}
    keys["three processes"] = training(processes=3)
    keys |= {level: training(level=level) for level in ("O1", "O2", "O3")}
    keys |= {f"net {n}": training(net={n: v}) for n, v in NETS.items()}
    keys |= {f"diffusion {n}": training(diffusion={n: v}) for n, v in DIFFUSIONS.items()}
    keys |= {f"optimizer {n}": training(optimizer={n: v}) for n, v in OPTIMIZERS.items()}
    keys["heads of half the size"] = training(net={"attn_heads": 4, "attn_dim_head": 2})
    keys["other frequencies"] = training(net={**fourier, "learned_sinusoidal_dim": 4})
    keys["recomputed"] = training(recomputed=True)
    keys["sampling"] = sampling()
    keys["no clip"] = sampling({"clip_denoised": False})
    keys |= {f"threshold {s}": sampling({"dynamic_threshold": s}) for s in (0.9, 0.99)}
    keys["sampling, half of the heads"] = sampling(net={"attn_heads": 4, "attn_dim_head": 2})
    alike = [(a, b) for a in keys for b in keys if a < b and keys[a] == keys[b]]
    assert not alike


@pytest.mark.parametrize("name", HOST)
def test_what_the_host_computes_shares_a_graph(name: str) -> None:
    assert training(diffusion={name: HOST[name]}) == training()
    assert sampling({name: HOST[name]}) == sampling()


def test_equal_options_share_a_graph() -> None:
    assert training() == training()
    assert sampling({"p2_loss_weight_gamma": 1.0, "p2_loss_weight_k": 2.0}) == sampling()
    assert sampling({"sampling_timesteps": 5, "eta": 0.5}) == sampling()
    assert sampling({"sampler": "unipc", "order": 3, "spacing": "karras"}) == sampling()


def test_no_option_is_forgotten_here() -> None:
    """A new option has to be told apart, or to be known as one of the host."""
    nets = {f.name for f in fields(UnetConfig)}
    diffusions = {f.name for kind in (DiffusionConfig, SamplingConfig) for f in fields(kind)}
    assert nets - UNTRAINED - WITH_ANOTHER == set(NETS)
    host = {*HOST, *WALKS, *WITH_A_SAMPLER, *GUIDED, *DRAWING}
    assert diffusions - host - WITH_ANOTHER == set(DIFFUSIONS)


def test_shapes_and_types_of_a_batch_are_told_apart() -> None:
    batches = [
        batch(), batch(3), batch(dtype=np.float16), batch(masks=1), batch(masks=2),
    ]  # fmt: skip
    keys = [training(arguments=arguments) for arguments in batches]
    assert len(set(keys)) == len(keys)


PROGRAM = """
from ddpm_mindspore.accelerated.system.fingerprint import _program
print(_program().hex())
"""


@pytest.mark.slow
def test_a_changed_line_is_another_program(tmp_path: Path) -> None:
    for part in ("reference", "accelerated"):
        source = Path(import_module(f"ddpm_mindspore.{part}").__path__[0])
        shutil.copytree(source, tmp_path / "ddpm_mindspore" / part)

    def key() -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    before = key()
    for name in ("accelerated/networks/layers.py", "reference/schedule.py"):
        file = tmp_path / "ddpm_mindspore" / name
        text = file.read_text()
        file.write_text(f"{text}\n# changed\n")
        assert key() != before, name
        file.write_text(text)
    assert key() == before
