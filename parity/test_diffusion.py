"""``GaussianDiffusion`` as a user calls it: its loss of images, ``sample`` and ``interpolate``.

With the network of ``small_network``, and with the U-Net in the example that is written here. What
a call draws by itself is taken from the table of ``draws``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import example, given

from ddpm_mindspore.parity.examples import runs
from ddpm_mindspore.parity.examples.samplings import SAMPLING
from ddpm_mindspore.parity.examples.values import Case
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.judgement.tolerance import Arrays, deep
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import device, door_device
from ddpm_mindspore.parity.sides import door as reference
from ddpm_mindspore.parity.sides.device import Array
from ddpm_mindspore.parity.sides.door import Door, Options
from ddpm_mindspore.parity.sides.door_batches import noised

UNET: dict[str, Any] = {
    "dim": 4,
    "dim_mults": (1,),
    "channels": 1,
    "self_condition": True,
    "attn_heads": 1,
    "attn_dim_head": 4,
}


@budget.examples(0.3)
@given(case=runs.call_cases())
def test_loss(case: Case) -> None:
    """diffusion(images): the loss at drawn t and noise, other ones for each call"""
    loss(**case)


@budget.examples(0.4)
@given(case=runs.sample_cases())
@example(
    case={
        "net": UNET,
        "size": (2, 3),
        "diffusion": {"timesteps": 4, "clip_denoised": False},
        "seed": 11,
        "calls": (
            {"batch_size": 2, "num_samples": 5, "first": 3},
            {"batch_size": 2, "num_samples": 3, "sampling_timesteps": 2, "eta": 0.7, "seed": 0},
            {"batch_size": 2, "num_samples": 2, "sampler": "unipc", "spacing": "karras"},
        ),
        "params": 1,
        "small": False,
    }
)
def test_sample(case: Case) -> None:
    """sample: image number i is a function of (seed, i), by any sampler at any times"""
    sample(**case)


@budget.examples(0.2)
@given(case=runs.interpolation_cases())
def test_interpolate(case: Case) -> None:
    """interpolate: two images noised to t by one noise, mixed, and sampled back"""
    interpolate(**case)


@reproducible
def loss(
    net: Options,
    size: tuple[int, int],
    diffusion: Options,
    kind: str,
    batch: int,
    calls: int,
    seed: int,
    params: int,
    small: bool = True,
) -> None:
    """``calls`` calls with ``batch`` images each."""
    door, values, device_diffusion = _made(net, size, diffusion, seed, params, small)
    images = _images(door, kind, batch, params)
    for call in range(calls):
        drawn = noised(door, images[1], seed, call, range(batch))

        def function(arrays: Arrays, drawn: Any = drawn) -> Arrays:
            dtype = arrays["images"].dtype
            micro = drawn._replace(x_0=arrays["images"], noise=drawn.noise.astype(dtype))
            weights = {name: arrays[name] for name in values}
            return {"loss": np.array(reference.loss(door, weights, micro))}

        expected, bounds = deep(function, {**values, "images": images[1].astype(np.float32)})
        actual = device.arrays(device_diffusion(images[0]))
        check(f"loss of call {call}", actual, expected["loss"], bounds["loss"])


@reproducible
def sample(
    net: Options,
    size: tuple[int, int],
    diffusion: Options,
    seed: int,
    calls: Sequence[Options],
    params: int,
    small: bool = True,
) -> None:
    """Each of ``calls`` holds the arguments of ``sample``; ``seed``: of the diffusion."""
    door, values, device_diffusion = _made(net, size, diffusion, seed, params, small)
    for number, call in enumerate(calls):
        count, first = call["num_samples"], call.get("first", 0)
        drawn = (call.get("seed", seed), range(first, first + count), call.get("image_size"))
        options = {name: call.get(name) for name in SAMPLING}

        def function(arrays: Arrays, drawn: Any = drawn, options: Any = options) -> Arrays:
            states = reference.sample(door, arrays, *drawn, **options)
            return {f"state {i}": states[:, i] for i in range(states.shape[1])}

        expected, bounds = deep(function, values)
        actual = device_diffusion.sample(**call)
        if not call.get("return_all_timesteps"):
            actual, expected = actual[:, None], dict([*expected.items()][-1:])
        check(f"states of call {number}", actual.shape[1], len(expected), 0.0)
        for i, (name, images) in enumerate(expected.items()):
            check(f"{name} of call {number}", actual[:, i], images, bounds[name])


@reproducible
def interpolate(
    net: Options,
    size: tuple[int, int],
    diffusion: Options,
    kind: str,
    t: int | None,
    lam: float,
    seed: int,
    given_seed: int | None,
    params: int,
    small: bool = True,
) -> None:
    """``seed``: of the diffusion; ``given_seed``: of the call, None for that one."""
    door, values, device_diffusion = _made(net, size, diffusion, seed, params, small)
    one, other = (_images(door, kind, 2, params + i) for i in (0, 1))
    own = seed if given_seed is None else given_seed
    step = door.schedule.T if t is None else t

    def function(arrays: Arrays) -> Arrays:
        weights = {name: arrays[name] for name in values}
        both = arrays["first"], arrays["second"]
        return {"images": reference.interpolation(door, weights, both, step, lam, own)}

    images = {"first": one[1].astype(np.float32), "second": other[1].astype(np.float32)}
    expected, bounds = deep(function, {**values, **images})
    actual = device_diffusion.interpolate(one[0], other[0], t, lam, seed=given_seed)
    check("interpolated images", actual, expected["images"], bounds["images"])


def _made(
    net: Options, size: tuple[int, int], diffusion: Options, seed: int, params: int, small: bool
) -> tuple[Door, Arrays, Any]:
    """Both sides, with the same parameters."""
    door = door_device.door(net, diffusion, {}, size, small)
    values = door_device.parameters(door, params)
    made = door_device.diffusion(door, seed)
    made.model.load_arrays(values)
    return door, values, made


def _images(door: Door, kind: str, count: int, seed: int) -> tuple[Array, Array]:
    """As a user has them, and in [-1, 1]."""
    rng = np.random.default_rng(seed)
    if kind == "uint8":
        levels = rng.integers(0, 256, (count, *door.shape), np.uint8)
        return levels, levels / 127.5 - 1.0
    floats = rng.uniform(0.0, 1.0, (count, *door.shape)).astype(np.float32)
    return floats, 2.0 * floats.astype(np.float64) - 1.0
