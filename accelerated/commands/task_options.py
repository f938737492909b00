"""What the commands are told that do something with given pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ...reference.plain import PathText, check_choice, make_plain
from ..choices import check_average
from ..system.runtime import DEVICES

Given = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE")]


@dataclass(frozen=True, kw_only=True)
class PictureConfig:
    """What all of them are told.

    Attributes:
        run: folder of a run, as train has written it.
        image: a picture, of the size and the colours of the run's images.
        label: what it is, by name or number, for a run with classes (default: it is not said).
        prompt: what it shows, for a run that is told texts (default: it is not said).
        fit: crop pictures to the run's proportions and resize them.
        sampling_timesteps: steps of each walk, evenly spaced (default: as the run was configured,
            and 50 where that says nothing).
        seed: where the noise comes from.
        weights: average (the moving average of the parameters) or trained.
        ema: with which average: "default", or the length of one as a share of training.
        step: draw with the checkpoint of this step (default: the newest).
        device: auto (an Ascend card if there is one, else the CPU), Ascend, GPU or CPU.
        output: folder to write to (default: one in RUN with the command's name); new, empty, or of
            an earlier drawing, whose files make room.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    image: Given
    label: str | None = None
    prompt: str | None = None
    fit: bool = False
    sampling_timesteps: int | None = None
    seed: int = 0
    weights: Literal["average", "trained"] = "average"
    ema: float | Literal["default"] = "default"
    step: int | None = None
    device: str = "auto"
    output: Path | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        check_average(self.ema, self.weights)
        check_choice("device", self.device, DEVICES)
        for name in ("num_samples", "sampling_timesteps", "jump_length", "jump_repeats"):
            value = getattr(self, name, None)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} must be at least 1")
        for name in ("step", "seed", "noise", "scale"):
            value = getattr(self, name, None)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"{name} {value} must not be negative")


@dataclass(frozen=True, kw_only=True)
class SolveConfig(PictureConfig):
    """What those are told that keep to a measurement.

    Attributes:
        num_samples: how many pictures to draw: each is another that it may have been.
        jump_length: steps that a walk returns, after each stretch of so many.
        jump_repeats: times that each stretch is walked; 1 is a plain walk.
        scale: length of the gradient's steps, with method dps.
    """

    num_samples: int = 4
    jump_length: int = 5
    jump_repeats: int = 1
    scale: float = 0.5


@dataclass(frozen=True, kw_only=True)
class InpaintConfig(SolveConfig):
    """Options of ``inpaint``.

    Attributes:
        mask: a picture that is white where it is to be painted and black where the image is known;
            or "alpha": where the image is transparent.
        method: repaint (what is known is put in with its noise), ddnm (into the estimate) or dps
            (by the gradient of what is off); or shown, for a run whose network was trained to
            inpaint (import wukong-huahua-inpaint-ms.ckpt), which can do nothing else (default:
            shown for such a run, and repaint for others).
    """

    mask: PathText
    method: Literal["repaint", "ddnm", "dps", "shown"] | None = None
    jump_repeats: int = 5


@dataclass(frozen=True, kw_only=True)
class RestoreConfig(SolveConfig):
    """Options of ``restore``.

    Attributes:
        degradation: what was done to the image: noise (nothing else), blur:WIDTH (by a Gaussian of
            this deviation in pixels), downsample:FACTOR or grey (of colours).
        noise: deviation of the noise on it, where pixels are from 0 to 1.
        method: ddnm (what is known is put into the estimate) or dps (by the gradient of what is
            off).
    """

    degradation: str
    noise: float = 0.0
    method: Literal["ddnm", "dps"] = "ddnm"


@dataclass(frozen=True, kw_only=True)
class SuperResolveConfig(SolveConfig):
    """Options of ``super-resolve``.

    Attributes:
        image: a picture that is a whole number of times smaller than the run's images.
        factor: how many times (default: as its size says).
        noise: deviation of the noise on it, where pixels are from 0 to 1 (not with sr3).
        method: ddnm or dps, as restore has them, or sr3, for a run that was trained to enlarge
            (train --super-resolve 4), which can do nothing else (default: sr3 for such a run, and
            ddnm for others).
    """

    factor: int | None = None
    noise: float = 0.0
    method: Literal["ddnm", "dps", "sr3"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.factor is not None and self.factor < 2:
            raise ValueError(f"factor {self.factor} must be at least 2")


@dataclass(frozen=True, kw_only=True)
class EditConfig(PictureConfig):
    """Options of ``edit``.

    Attributes:
        strength: how much of it is drawn anew, above 0 (nothing) to 1 (all).
        num_samples: how many pictures to draw.
        eta: noise that the steps add, 0 to 1 (default: as the run was configured).
    """

    strength: float = 0.5
    num_samples: int = 4
    eta: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.strength <= 1.0:
            raise ValueError(
                f"strength {self.strength} must be above 0 (nothing changes) and at most 1 (all is "
                "new)"
            )
        if self.eta is not None and not 0.0 <= self.eta <= 1.0:
            raise ValueError(f"eta {self.eta} must be from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class InvertConfig(PictureConfig):
    """Options of ``invert``.

    Attributes:
        iterations: for each step, at most.
    """

    iterations: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iterations < 1:
            raise ValueError(f"iterations {self.iterations} must be at least 1")


@dataclass(frozen=True, kw_only=True)
class InterpolateConfig(PictureConfig):
    """Options of ``interpolate``.

    Attributes:
        other: another picture of the same kind.
        frames: pictures from the one to the other, with both.
    """

    other: Given
    frames: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames < 2:
            raise ValueError(f"frames {self.frames} must be at least 2: both ends")
