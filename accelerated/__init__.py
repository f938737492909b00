"""The MindSpore backend: import Unet, GaussianDiffusion, Trainer and open_run from here.

The names are loaded when they are first asked for, so that a program which only prints its help
does not wait for MindSpore.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .commands.extras import missing_package, remedy
from .system.runtime import prepare_environment

if TYPE_CHECKING:
    from .diffusion import GaussianDiffusion
    from .networks.mlp import Mlp
    from .networks.unet import Unet
    from .networks.unet1d import Unet1D
    from .runs.opened import open_run
    from .sequences import GaussianDiffusion1D, Trainer1D
    from .trainer.loop import Trainer

prepare_environment()

__all__ = [
    "GaussianDiffusion",
    "GaussianDiffusion1D",
    "Mlp",
    "Trainer",
    "Trainer1D",
    "Unet",
    "Unet1D",
    "open_run",
]

_HOME = {
    "GaussianDiffusion": ".diffusion",
    "GaussianDiffusion1D": ".sequences",
    "Mlp": ".networks.mlp",
    "Trainer": ".trainer.loop",
    "Trainer1D": ".sequences",
    "Unet": ".networks.unet",
    "Unet1D": ".networks.unet1d",
    "open_run": ".runs.opened",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_HOME[name], __name__), name)
    except ModuleNotFoundError as error:
        if not (package := missing_package(error)):
            raise
        raise ImportError(remedy(f"{__name__}.{name}", package), name=package) from error
