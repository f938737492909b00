"""One set of weights, saved by the package, in three networks: the answers agree.

The truth is the reference in float64. In float64 the package has to agree with it to rounding
errors. The float32 answer on MindSpore may be further from it than the package's own float32 answer
and NumPy's are, whichever is worse, by a small factor only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from mindspore import Tensor

from ddpm_mindspore.accelerated import Unet
from ddpm_mindspore.accelerated.system.runtime import select_device
from ddpm_mindspore.accelerated.weights.config import unet_config
from ddpm_mindspore.reference.config import UnetConfig
from ddpm_mindspore.reference.networks.unet import param_shapes, unet

CASES: dict[str, dict[str, Any]] = {
    "as in its README": {"dim": 8, "dim_mults": (1, 2, 4, 8)},
    "self_condition": {"dim": 8, "dim_mults": (1, 2), "channels": 1, "self_condition": True},
    "learned_variance": {"dim": 8, "dim_mults": (1, 2), "learned_variance": True},
    "learned_sinusoidal_cond": {"dim": 8, "dim_mults": (1, 2), "learned_sinusoidal_cond": True},
    "random_fourier_features": {
        "dim": 8,
        "dim_mults": (1,),
        "random_fourier_features": True,
        "learned_sinusoidal_dim": 6,
    },
    "full_attn everywhere": {"dim": 8, "dim_mults": (1, 2), "full_attn": (True, True)},
    "full_attn outside, linear inside": {"dim": 8, "dim_mults": (1, 2), "full_attn": (True, False)},
    "heads and widths for each level": {
        "dim": 8,
        "dim_mults": (1, 3, 2),
        "attn_heads": (1, 2, 3),
        "attn_dim_head": (16, 4, 5),
    },
    "init_dim, out_dim, theta": {
        "dim": 10,
        "init_dim": 6,
        "out_dim": 3,
        "dim_mults": (2, 1),
        "channels": 4,
        "sinusoidal_pos_emb_theta": 100,
    },
    "dropout, off when sampling": {"dim": 8, "dim_mults": (1, 2), "dropout": 0.5},
}

TIME = np.array([0.0, 1.0, *range(9, 1000, 110)])

FACTOR = 4.0
"""How much further from the truth MindSpore's float32 may be, in the root mean square."""

FLOAT64 = 1e-13
"""How far from each other two float64 answers may be: a thousand of their roundings."""


@pytest.mark.parametrize("name", CASES)
def test_three_forward_passes_agree(name: str, peer: Any, table: Any, tmp_path: Path) -> None:
    config = UnetConfig(**CASES[name])
    network = peer.unet(3, **CASES[name])
    params = saved_and_read(network, tmp_path / "unet.safetensors")
    assert {n: a.shape for n, a in params.items()} == param_shapes(config)
    x, estimate = inputs(config)
    x32, time32 = x.astype(np.float32), TIME.astype(np.float32)
    estimate32 = None if estimate is None else estimate.astype(np.float32)

    params64 = {n: a.astype(np.float64) for n, a in params.items()}
    truth = unet(params64, config, x, TIME, estimate)
    numpy32 = unet(params, config, x32, time32, estimate32)
    torch32 = peer.call(network, x32, time32, estimate32)
    with peer.in_float64():
        torch64 = peer.call(network.double(), x, TIME, estimate)
    mindspore32 = on_mindspore(config, params, x32, time32, estimate32)

    assert truth.shape == torch64.shape == mindspore32.shape
    scale = rms(truth)
    assert rms(torch64 - truth) <= FLOAT64 * scale
    theirs = max(rms(numpy32 - truth), rms(torch32 - truth)) / scale
    ours = rms(mindspore32 - truth) / scale
    table.add(
        f"network, {name}: PyTorch float64", f"{rms(torch64 - truth) / scale:.1e}", f"{FLOAT64:.0e}"
    )
    table.add(
        "    MindSpore float32 (beside PyTorch's, NumPy's)",
        f"{ours:.1e} ({rms(torch32 - truth) / scale:.1e}, {rms(numpy32 - truth) / scale:.1e})",
        f"{FACTOR * theirs:.1e}",
    )
    assert ours <= FACTOR * theirs


@pytest.mark.parametrize("name", CASES)
def test_its_networks_are_recognised(name: str, peer: Any) -> None:
    config = UnetConfig(**CASES[name])
    params = {n: a.numpy() for n, a in peer.unet(0, **CASES[name]).state_dict().items()}
    if config.out_channels != config.channels:
        with pytest.raises(ValueError, match=f"returns {config.out_channels} "):
            unet_config(params)
        return
    found = unet_config(params, config.sinusoidal_pos_emb_theta)
    assert found.levels == config.levels
    assert param_shapes(found) == param_shapes(config)
    assert found.self_condition == config.self_condition


def saved_and_read(network: Any, path: Path) -> dict[str, np.ndarray]:
    """As safetensors, written with PyTorch and read without."""
    from safetensors.torch import save_file

    save_file(network.state_dict(), path)
    return safetensors.numpy.load_file(path)


def inputs(config: UnetConfig) -> tuple[np.ndarray, np.ndarray | None]:
    """x_t, and an estimate of x_0 for a network that reads one: values that float32 has too."""
    rng = np.random.default_rng(5)
    shape = (len(TIME), config.channels, 2 * config.downsample_factor, config.downsample_factor)
    x, estimate = rng.standard_normal((2, *shape)).astype(np.float32).astype(np.float64)
    return x, estimate if config.self_condition else None


def on_mindspore(
    config: UnetConfig, params: dict[str, np.ndarray], *arrays: np.ndarray | None
) -> np.ndarray:
    select_device("CPU")
    network = Unet(**config.to_dict())
    network.load_arrays(params)
    tensors = [None if a is None else Tensor(a) for a in arrays]
    return np.asarray(network(*tensors).asnumpy())


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
