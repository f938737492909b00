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
    from .networks.unet import Unet
    from .runs.opened import open_run
    from .trainer.loop import Trainer

prepare_environment()

__all__ = ["GaussianDiffusion", "Trainer", "Unet", "open_run"]

_HOME = {
    "GaussianDiffusion": ".diffusion",
    "Trainer": ".trainer.loop",
    "Unet": ".networks.unet",
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
