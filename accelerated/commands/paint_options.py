"""What ``paint`` is told: a dataclass that costs little to import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ...reference.config import SamplingConfig
from ...reference.plain import check_choice, make_plain
from ..choices import check_average, check_checkpoint, check_precision
from ..system.runtime import DEVICES
from .options import at_least_1


@dataclass(frozen=True)
class PaintConfig:
    """Options of ``paint``.

    Attributes:
        text: what to paint, or several texts.
        texts: a file with more of them, one a line.
        words: show what the models that come with the program, or a run on their data, were taught
            to paint and how to say it, and paint nothing.
        run: folder of a run that is told texts, or a model that comes with the program:
            painter-scenes (two coloured digits) or painter-pictures (animals, plants, food, faces;
            default: the one of them that knows more of the text).
        lora: a file of low-rank factors to add to its weights, as export writes them for a run that
            was trained with --lora-rank (arXiv 2106.09685).
        lora_scale: how much of that is added: 0 nothing, 1 all.
        negative: what not to paint.
        guidance: how much is made of the text: 1 nothing more, above 1 guidance: 2 obeys more, and
            varies less (arXiv 2207.12598; default: as the run was configured).
        num_samples: pictures of each text.
        sampler: ancestral, ddim, euler, heun, plms, dpm++2s, dpm++2m, dpm++3m, dpm++2m-sde, unipc
            or deis (default: as the run was configured).
        sampling_timesteps: steps for each picture (default: as the run was configured).
        seed: picture number i is a function of this and of i.
        batch_size: pictures drawn at a time, at most (default: 64, or more if they are small).
        weights: of a run: average (the moving average of the parameters) or trained (the
            parameters as the last step left them).
        ema: with which average: "default", or the length of one as a share of training.
        step: draw with the run's checkpoint of this step (default: the newest).
        amp_level: O0 draws in float32, O1 to O3 in half precision, as train has them.
        amp_dtype: float16 or bfloat16; on a CPU that can multiply it, bfloat16 with O1 is faster.
        device: auto (an Ascend card if there is one, else the CPU), Ascend, GPU or CPU.
        output: folder to write to (default: painted, or RUN/drawn); new, empty, or of an earlier
            drawing, whose files make room.
    """

    text: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    texts: Path | None = None
    words: bool = False
    run: Path | None = None
    lora: Path | None = None
    lora_scale: float = 1.0
    negative: str = ""
    guidance: float | None = None
    num_samples: int = 9
    sampler: str | None = None
    sampling_timesteps: int | None = None
    seed: int = 0
    batch_size: int | None = None
    weights: Literal["average", "trained"] = "average"
    ema: float | Literal["default"] = "default"
    step: int | None = None
    amp_level: str = "O0"
    amp_dtype: str = "float16"
    device: str = "auto"
    output: Path | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("device", self.device, DEVICES)
        at_least_1(self, "num_samples", "batch_size", "sampling_timesteps")
        for name in ("guidance", "step", "seed"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} {value} must not be negative")
        check_average(self.ema, self.weights)
        check_precision(self.amp_level, self.amp_dtype)
        if self.sampler is not None:
            SamplingConfig(sampler=self.sampler)
        if self.lora is None and self.lora_scale != 1.0:
            raise ValueError(f"lora_scale {self.lora_scale} is of a file: name it (--lora)")
        check_checkpoint(self.run, self.step, self.ema, " (--run)")
