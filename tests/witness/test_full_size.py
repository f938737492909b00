"""The published Chinese model at its own size, beside ``diffusers`` and ``transformers``.

    tests/witness/run FOLDER -m nightly -k full_size     eight minutes of one core, 9 GB of memory

The weights are drawn, since the published ones are not at hand. A file of the published layout is
imported, and walked down with it, told and guided as published, by PLMS and by DPM-Solver++(2M),
beside their schedulers around their networks. By as much as a walk of theirs in float32 differs
from theirs in float64, times FACTOR, ours may differ from that. Then each network answers once,
judged as the small ones are (``latents.py``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from ddpm_mindspore.accelerated.randomness import Purpose
from ddpm_mindspore.accelerated.randomness import normal as noise
from ddpm_mindspore.reference.config import wukong
from ddpm_mindspore.reference.samplers.common import levels
from ddpm_mindspore.reference.schedule import make_schedule
from ddpm_mindspore.reference.spacing import make_timesteps
from ddpm_mindspore.reference.text.tokenizer import shipped

from ..published_file import SIZE, write_published
from .latents import FACTOR, judge, of_autoencoder, of_text_encoder, of_unet, rms
from .their_networks import in_float64, normal, their_text_encoder, their_unet, value

pytestmark = pytest.mark.nightly

Array = np.ndarray

SCHEDULE = make_schedule("scaled_linear", 1000)
TEXT, SIDE, STEPS, SEED, SCALE = "城市夜景 赛博朋克", 16, 4, 3, 7.5


OURS = """
import json, sys, time
import numpy as np
from ddpm_mindspore.accelerated import open_run

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024

folder, output, text, side, steps, seed, scale = sys.argv[1:]
at_first, run = peak(), open_run(folder)
told = {"at first": at_first, "loaded": peak()}
options = {"image_size": int(side), "sampling_timesteps": int(steps), "seed": int(seed)}
options |= {"condition": text, "cond_scale": float(scale), "spacing": "uniform"}
for sampler in ("plms", "dpm++2m"):
    start = time.perf_counter()
    np.save(f"{output}/{sampler}.npy", run.diffusion.sample(1, sampler=sampler, **options))
    told[sampler] = time.perf_counter() - start
told["drawn"] = peak()
print(json.dumps(told))
"""


def test_full_size_walks(tmp_path: Path, table: Any) -> None:
    """What is loaded takes at most 1.3 times the memory of the weights, all else included."""
    from ddpm_mindspore.accelerated.weights.published import import_published

    expected, rounded = their_walks()
    prefixes = tuple(wukong.PREFIXES.values())

    def of(name: str, shape: tuple[int, ...]) -> Array:
        return value(name.removeprefix(next(p for p in prefixes if name.startswith(p))), shape)

    path, folder = tmp_path / "w.ckpt", tmp_path / "run"
    write_published(path, of)
    import_published(path, folder)
    path.unlink()
    words = [str(folder), str(tmp_path), TEXT, *map(str, (SIDE, STEPS, SEED, SCALE))]
    done = subprocess.run([sys.executable, "-c", OURS, *words], stdout=subprocess.PIPE, check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    (folder / "published.ckpt").unlink()
    gigabytes = {name: told[name] / 1e9 for name in ("at first", "loaded", "drawn")}
    shown = "{at first:.2f}, {loaded:.2f}, {drawn:.2f} GB".format(**gigabytes)
    table.add("full size, memory: at first, loaded, drawn", shown, f"loaded {1.3 * SIZE / 1e9:.2f}")
    assert told["loaded"] <= 1.3 * SIZE
    found = {sampler: np.load(tmp_path / f"{sampler}.npy") for sampler in expected}
    for sampler, truth in expected.items():
        error, theirs = (rms(walk[sampler] - truth) / rms(truth) for walk in (found, rounded))
        name = f"full size, {sampler}, {STEPS} steps: {told[sampler]:.0f} s"
        table.add(name, f"{error:.1e} (theirs {theirs:.1e})", f"{FACTOR * theirs:.1e}")
        assert error <= FACTOR * theirs
    assert rms(found["plms"] - found["dpm++2m"]) > 1e-2 * rms(found["plms"])


def their_walks() -> tuple[dict[str, Array], dict[str, Array]]:
    """By sampler, the latents (1, 4, h, w) in float64, and in float32."""
    ids = shipped().rows((TEXT, ""), wukong.TEXT_ENCODER.length).astype(np.int64)
    x_T = noise(SEED, Purpose.SAMPLE_START, 0, [0], (4, SIDE, SIDE))
    unet, encoder = their_unet(wukong.UNET), their_text_encoder(wukong.TEXT_ENCODER)

    def walks(dtype: Any) -> dict[str, Array]:
        with torch.no_grad():
            states = encoder(torch.from_numpy(ids), return_dict=False)[0]

            def eps(x: Any, t: Any) -> Any:
                told, untold = unet(torch.cat((x, x)), t, states, return_dict=False)[0]
                return (untold + SCALE * (told - untold))[None]

            start = torch.from_numpy(x_T.astype(dtype))
            return {name: walk(eps, start).numpy() for name, walk in WALKS.items()}

    rounded = walks(np.float32)
    unet.double()
    encoder.double()
    with in_float64():
        return walks(np.float64), rounded


def plms(eps: Callable[..., Any], x: Any) -> Any:
    scheduler = diffusers.PNDMScheduler(
        skip_prk_steps=True, set_alpha_to_one=True, timestep_spacing="trailing"
    )
    scheduler.set_timesteps(STEPS)
    scheduler.alphas_cumprod = torch.tensor(SCHEDULE.alpha_bar[1:].copy())
    for t in scheduler.timesteps:
        x = scheduler.step(eps(x, t), t, x).prev_sample
    return x


def dpm_solver(eps: Callable[..., Any], x: Any) -> Any:
    scheduler = diffusers.DPMSolverMultistepScheduler()
    scheduler.set_timesteps(STEPS)
    at = levels(SCHEDULE, make_timesteps(SCHEDULE, STEPS))
    scheduler.timesteps = torch.tensor([level.t - 1 for level in at])
    scheduler.sigmas = torch.tensor(np.array([*(level.sigma for level in at), 0.0]))
    scheduler.set_begin_index(0)
    for t in scheduler.timesteps:
        x = scheduler.step(eps(x, t), t, x).prev_sample
    return x


WALKS = {"plms": plms, "dpm++2m": dpm_solver}


def test_full_size_text_encoder(table: Any) -> None:
    config = wukong.TEXT_ENCODER
    ids = np.random.default_rng(0).integers(0, 21_128, (2, config.length)).astype(np.int32)
    name = "full size, text encoder, 2 texts"
    judge(name, of_text_encoder(config), ids, table=table, deep=True)


@pytest.mark.parametrize("half", ["encoder", "decoder"])
def test_full_size_autoencoder(half: str, table: Any) -> None:
    given = normal(1, 1, 3, 128, 128) if half == "encoder" else normal(2, 1, 4, SIDE, SIDE)
    name = f"full size, {half}, 128 pixels"
    judge(name, of_autoencoder(wukong.AUTOENCODER, half), given, table=table, deep=True)


def test_full_size_unet(table: Any) -> None:
    x, context = normal(1, 1, 4, SIDE, SIDE), normal(2, 1, 77, wukong.UNET.context_dim)
    name = "full size, latent U-Net, 16x16 latents"
    times = np.array([500.0], np.float32)
    judge(name, of_unet(wukong.UNET), x, times, context, table=table, deep=True)
