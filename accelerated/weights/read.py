"""Read weights as ``denoising-diffusion-pytorch`` 2.3.4 saves them.

Parameters have the same names on both sides, so there is nothing to rename. What has to be told
apart is what a file holds: the U-Net alone, the diffusion around it (``model.`` before each name,
and the schedule's tables), its moving average (``ema_model.`` before that), or all of a Trainer.
What DataParallel and torch.compile put into names, wherever they were wrapped around something, is
left out first.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

Arrays: TypeAlias = dict[str, NDArray[np.float32]]

PEER = "denoising-diffusion-pytorch 2.3.4"

TABLES = {
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "loss_weight",
}
"""What GaussianDiffusion keeps beside its network: functions of betas and of the objective."""


WRAPPERS = {"module", "_orig_mod"}
"""Parts of names that come from nn.DataParallel (or its kin) and from torch.compile."""


class Weights(NamedTuple):
    """What a file holds.

    Attributes:
        model: the U-Net's parameters by name.
        ema: their moving average; the same arrays where the file has only one set.
        tables: the schedule's tables, empty for a U-Net alone.
        step: training steps behind them, 0 where the file does not say.
    """

    model: Arrays
    ema: Arrays
    tables: Arrays
    step: int


def read_weights(path: Path) -> Weights:
    """Read a Trainer's ``model-N.pt``, or a state dict saved as safetensors or by ``torch.save``.

    Raises:
        ValueError: the file cannot be read, needs torch, or holds something else.
    """
    if not path.is_file():
        raise ValueError(f"weights {str(path)!r} is not a file: name a .safetensors or .pt file")
    if path.suffix == ".safetensors":
        content = read_safetensors(path)
    elif path.suffix in (".pt", ".pth"):
        content = _read_torch(path)
    else:
        raise ValueError(f"weights {str(path)!r} must end in .safetensors, .pt or .pth")
    if isinstance(content.get("model"), dict):
        model, tables = _network(path, _arrays(path, content["model"]))
        ema = model
        if isinstance(content.get("ema"), dict):
            ema, _ = _network(path, _under("ema_model.", _arrays(path, content["ema"])))
        return Weights(model, ema, tables, int(content.get("step", 0)))
    state = _arrays(path, content)
    averaged = _under("ema_model.", state) or state
    ema, _ = _network(path, averaged)
    model, tables = _network(path, _under("online_model.", state) or averaged)
    return Weights(model, ema, tables, 0)


def read_safetensors(path: Path) -> dict[str, Any]:
    """The tensors of a file by name; ValueError if it is none, or has a type that NumPy lacks."""
    try:
        return dict(safetensors.numpy.load_file(path))
    except (OSError, safetensors.SafetensorError) as error:
        raise ValueError(f"weights {str(path)!r} are no safetensors file: {error}") from None
    except TypeError as error:  # NumPy has no such type, bfloat16 for example
        raise ValueError(
            f"weights {str(path)!r} cannot be read ({error}): save them as float32"
        ) from None


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        torch = import_module("torch")
    except ImportError:
        raise ValueError(
            f"weights {str(path)!r} can only be read with PyTorch: 'pip install torch', or turn "
            "them into safetensors where PyTorch is: safetensors.torch.save_file("
            "torch.load('model-1.pt', weights_only=True)['model'], 'model.safetensors')"
        ) from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle, torch's own: whatever a foreign file leads to
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"weights {str(path)!r} are no file of torch.save: {said}") from None
    if not isinstance(content, dict):
        raise ValueError(
            f"weights {str(path)!r} hold a {type(content).__name__}: save a state_dict()"
        )
    return content


def _arrays(path: Path, state: Mapping[str, Any]) -> Arrays:
    """float32 arrays of all arrays and tensors; what is neither (an optimiser's state) is left."""
    arrays: Arrays = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            array = value.astype(np.float32)
        elif hasattr(value, "detach"):
            array = value.detach().float().numpy()
        else:
            continue
        own = ".".join(part for part in str(name).split(".") if part not in WRAPPERS)
        if own in arrays and not np.array_equal(arrays[own], array):
            raise ValueError(
                f"weights {str(path)!r} hold two of {own!r}, one within DataParallel or "
                "torch.compile: save the state_dict() of one of the two"
            )
        arrays[own] = array
    return arrays


def _under(prefix: str, state: Arrays) -> Arrays:
    n = len(prefix)
    return {name[n:]: array for name, array in state.items() if name.startswith(prefix)}


def _network(path: Path, state: Arrays) -> tuple[Arrays, Arrays]:
    """Tell the network's parameters from the diffusion's tables.

    Either may be within a module of the caller's that calls it ``model``, too.
    """
    while state and all(name.startswith("model.") for name in state):
        state = _under("model.", state)
    parameters = _under("model.", state)
    if not parameters:
        return state, {}
    tables = {name: a for name, a in state.items() if not name.startswith("model.")}
    if tables and (differing := sorted(tables.keys() ^ TABLES)):
        raise ValueError(
            f"table {differing[0]!r} is in only one of weights {str(path)!r} and the "
            f"GaussianDiffusion of {PEER}: import weights of that, or of its U-Net alone"
        )
    return parameters, tables
