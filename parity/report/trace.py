"""Some of the default cases as files, for a device on which this suite cannot be installed.

While a trace is recorded, properties note what they compare: the inputs, what an exact computation
makes of them, and the bounds. ``verify_trace.py``, which is copied into the folder, describes the
files and checks a device against them with NumPy alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import verify_trace
from .verify_trace import ARRAYS, FORMAT, MANIFEST, VERSION, seal

Array = NDArray[Any]

PER_OPERATION = 3
"""Cases that are kept of each operation: the first, among them the simplest."""

LARGEST = 2**20
"""Bytes of inputs that a case may have, so that a trace has a few million at most."""

_TABLES = "alpha_bar (T + 1,) is the schedule's table, t (B,) in 1..T"
_LAYER = (
    "results: output, and 'grad NAME', the gradient of sum(output * cotangent) by every float input"
)
OPERATIONS = {
    "q_sample": f"x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) noise; {_TABLES}",
    "x0_from_eps": f"x_0 = (x_t - sqrt(1 - alpha_bar_t) eps) / sqrt(alpha_bar_t); {_TABLES}",
    "v_from_x0": f"v = sqrt(alpha_bar_t) eps - sqrt(1 - alpha_bar_t) x_0; {_TABLES}",
    "x0_from_v": f"x_0 = sqrt(alpha_bar_t) x_t - sqrt(1 - alpha_bar_t) v; {_TABLES}",
    "simple_loss": (
        "mean over the batch of weight[t] times the mean over an image of d^2 (l2), |d| (l1), or "
        "d^2 / 2 where |d| < 1 and |d| - 1/2 elsewhere (huber), d = output - target"
    ),
    "ddim_step": (
        "x_s of arXiv 2010.02502, eqs. 12 and 16, from x_t and the estimate x0_hat; t and s are "
        "indices into alpha_bar, eta = 1 is the ancestral sampler"
    ),
    "conv1d": f"cross-correlation along (B, C, L) with zeros around; k = 4: stride 2; {_LAYER}",
    "conv2d": f"cross-correlation with zeros around the edges, plus bias; {_LAYER}",
    "linear": f"x W^T + b; {_LAYER}",
    "gelu": f"x Phi(x), with the exact normal distribution function; {_LAYER}",
    "rms_norm": f"sqrt(C) g x / max(||x||, 1e-12), the norm over the C channels; {_LAYER}",
    "upsample": f"every pixel becomes 2 x 2 equal ones, then a 3 x 3 convolution; {_LAYER}",
    "downsample": (
        "pixel-unshuffle: channel (c, p1, p2) is pixel (p1, p2) of each 2 x 2 square of channel c, "
        f"then a 1 x 1 convolution; {_LAYER}"
    ),
    "sinusoidal_embedding": (
        "n sines, then n cosines, of time theta^(-i / (n - 1)), i = 0..n - 1; results: output (B, "
        "2 n), 'grad time'"
    ),
    "fourier_embedding": f"time, then sin and cos of 2 pi time weights; {_LAYER}",
    "block": f"silu((scale + 1) rms_norm(conv2d(x)) + shift); {_LAYER}",
    "resnet_block": (
        "h = block1(x; scale and shift = linear(silu(embedding)) in two halves), h mask / (1 - "
        f"dropout), block2(h; no scale, no shift), plus res_conv(x) if there is one or x; {_LAYER}"
    ),
    "linear_attention": (
        "norm, to_qkv, keys and values after those of mem_kv; k softmax over the pixels, q over "
        "its channels, divided by sqrt(dim_head); v k^T q, to_out: LinearAttention of "
        f"denoising-diffusion-pytorch 2.3.4; {_LAYER}"
    ),
    "attention": (
        "norm, to_qkv, keys and values after those of mem_kv, softmax(q k^T / sqrt(dim_head)) v, "
        f"to_out: Attention of denoising-diffusion-pytorch 2.3.4; {_LAYER}"
    ),
    "unet": (
        "the Unet of denoising-diffusion-pytorch 2.3.4, with the options `net`, of x, time = t - 1 "
        "and x_self_cond, if it is there; mask.0, mask.1, ... are the dropout masks (0 or 1, kept "
        "values are divided by 1 - dropout) of the residual blocks in forward order; with "
        "num_classes linear(gelu(linear(row number `condition` of classes_emb))) of classes_mlp is "
        "added to the time embedding; with cond_channels `condition` is further channels after x"
    ),
    "training_loss": (
        "q_sample, unet, simple_loss against noise, x_0 or v (`objective`); where self_cond_mask "
        "is 1 the network sees the estimate of x_0 that it makes when shown zeros (no gradient "
        "flows through it, no dropout in it); results: loss, and 'grad NAME' by every trained "
        "parameter"
    ),
    "adam": (
        "gradients 1, 2, ... one after the other, each first shortened to max_grad_norm (times "
        "max_norm / (norm + 1e-6)): Adam with bias correction, eps beside sqrt(v_hat), decay of "
        "what is named .weight by lr weight_decay before the step; results: the norms before "
        "shortening, parameters and both moments at the end, each as one vector in their order; "
        "the rates are given"
    ),
}
"""What each operation computes, for somebody with nothing but the folder."""


@dataclass
class Trace:
    """What was noted so far.

    Attributes:
        cases: entries of the manifest.
        arrays: by their names in the file of arrays.
    """

    cases: list[dict[str, Any]] = field(default_factory=list)
    arrays: dict[str, Array] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def note(
        self,
        operation: str,
        options: Mapping[str, Any],
        inputs: Mapping[str, Array],
        expected: Mapping[str, ArrayLike],
        bounds: Mapping[str, ArrayLike],
    ) -> None:
        """Keep a case, if it is new, small and among the first few of its operation."""
        assert operation in OPERATIONS, f"operation {operation!r} is not described in trace.py"
        number = sum(case["operation"] == operation for case in self.cases) + 1
        key = _digest(operation, options, inputs)
        size = sum(np.asarray(array).nbytes for array in inputs.values())
        if number > PER_OPERATION or size > LARGEST or key in self._seen:
            return
        self._seen.add(key)
        name = f"{operation}-{number}"
        entry = {"case": name, "operation": operation, "options": dict(options)}
        self.cases.append({**entry, "inputs": list(inputs), "results": list(expected)})
        self.arrays |= {f"{name}/in/{n}": np.asarray(x) for n, x in inputs.items()}
        for n, value in expected.items():
            self.arrays[f"{name}/out/{n}"] = np.asarray(value, np.float64)
            self.arrays[f"{name}/bound/{n}"] = np.asarray(bounds[n], np.float64)

    def write(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Write the trace and its verifier; ``about``: package, suite, seed, created.

        Raises:
            OSError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / ARRAYS, **self.arrays)
        known = {case["operation"] for case in self.cases}
        document = {
            "format": FORMAT,
            "version": VERSION,
            **about,
            "operations": {name: text for name, text in OPERATIONS.items() if name in known},
            "cases": self.cases,
            "files": {ARRAYS: hashlib.sha256((folder / ARRAYS).read_bytes()).hexdigest()},
        }
        document = {**document, "sha256": seal(document)}
        (folder / MANIFEST).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        source = Path(str(verify_trace.__file__))
        shutil.copyfile(source, folder / source.name)


def _digest(operation: str, options: Mapping[str, Any], inputs: Mapping[str, Array]) -> str:
    digest = hashlib.sha256(json.dumps([operation, options], sort_keys=True).encode())
    for name, array in inputs.items():
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


_recording: list[Trace] = []


def check_folder(folder: Path) -> None:
    """See that a folder may become a trace: it is new or empty, or it is one.

    Raises:
        ValueError: it holds anything else.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file():
        raise ValueError(f"record folder {str(folder)!r} holds other files: name a new one")


def record() -> Trace:
    """From now on, notes go into the trace that is returned."""
    _recording[:] = [Trace()]
    return _recording[0]


def stop() -> None:
    """Notes are forgotten again."""
    _recording.clear()


def note(make: Callable[[], tuple[Any, ...]]) -> None:
    """Note a case where a trace is recorded: ``make`` returns the arguments of ``Trace.note``."""
    for trace in _recording:
        trace.note(*make())
