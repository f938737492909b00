"""What ``demo`` is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ...reference.plain import check_choice, make_plain
from ..choices import PICTURE_PAINTER, check_average, check_checkpoint
from ..system.runtime import DEVICES


@dataclass(frozen=True)
class DemoConfig:
    """Options of ``demo``.

    Attributes:
        run: folder of a run, or a model that comes with the program and is told texts:
            painter-pictures (default) or painter-scenes.
        num_samples: pictures of each drawing (default: 4 of tiny images, 1 of others).
        port: of the page (0: any that is free).
        weights: average (the moving average of the parameters) or trained.
        ema: with which average: "default", or the length of one as a share of training.
        step: of which checkpoint (default: the newest).
        device: auto (an Ascend card if there is one, else the CPU), Ascend, GPU or CPU.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")] = Path(PICTURE_PAINTER)
    num_samples: int | None = None
    port: int = 0
    weights: Literal["average", "trained"] = "average"
    ema: float | Literal["default"] = "default"
    step: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("device", self.device, DEVICES)
        if self.num_samples is not None and not 1 <= self.num_samples <= 16:
            raise ValueError(f"num_samples {self.num_samples} must be from 1 to 16")
        if not 0 <= self.port < 2**16:
            raise ValueError(f"port {self.port} must be from 0 to 65535")
        if self.step is not None and self.step < 0:
            raise ValueError(f"step {self.step} must not be negative")
        check_average(self.ema, self.weights)
        check_checkpoint(self.run, self.step, self.ema)
