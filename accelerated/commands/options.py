"""What the smaller commands are told: dataclasses that cost little to import."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ...reference.config import SamplingConfig
from ...reference.config.diffusion import PREDICTIONS, SCHEDULES
from ...reference.config.samplers import having_it
from ...reference.config.sampling import OPTIONS
from ...reference.plain import PathText, Unbounded, check_choice, make_plain
from ..choices import check_average, check_precision
from ..config import ImageSize
from ..system.runtime import DEVICES


@dataclass(frozen=True)
class SampleConfig:
    """Options of ``sample``.

    Attributes:
        run: folder of a run, as train has written it.
        num_samples: images to draw (default: 64, or of a run with classes as many of each as come
            to about that).
        label: the class of the images, or several, by name or number, for a run that was trained
            with --conditional (default: all of them, in turn, and a row of the grid for each).
        guidance: how much is made of the class: 1 nothing more, above 1 guidance: 2 obeys more, and
            varies less (arXiv 2207.12598; default: as the run was configured).
        guidance_interval: guide only where the noise, as a multiple of the signal, is above the
            first and not above the second (arXiv 2404.07724).
        guidance_rescale: share in which guided estimates get back their spread (arXiv 2305.08891).
        guidance_parallel: share kept of a change that only makes an estimate stronger: 0 for
            adaptive projected guidance (arXiv 2410.02416).
        guidance_norm: the largest change of an estimate (likewise).
        guidance_momentum: share of the last step's change that is added (likewise).
        autoguidance: step of an earlier checkpoint of the run, to guide by its weakness and not by
            the absence of a class (arXiv 2406.02070); with --guidance.
        sampler: ancestral, ddim, euler, heun, plms, dpm++2s, dpm++2m, dpm++3m, dpm++2m-sde, unipc
            or deis (default: as the run was configured).
        sampling_timesteps: steps for each image (default: as the run was configured); heun and
            dpm++2s ask the network twice a step.
        spacing: at which times: uniform, trailing, leading, linspace, quadratic, log_snr, karras,
            or the times themselves, as 1000,600.5,200 (default: as the run was configured).
        eta: of ddim, noise that it adds, 0 to 1 (default: as the run was configured).
        variance: of ancestral: posterior, beta, or learned, of a network that has learned it.
        s_churn: of euler and heun: noise added on the way, and taken away again.
        s_tmin: the least noise / signal where it is added.
        s_tmax: the largest.
        s_noise: its deviation.
        order: of unipc, 2 or 3; of deis, 1 to 3.
        variant: of unipc: bh1 or bh2.
        dynamic_threshold: squeeze estimates until this share of their pixels, as 0.995, is in the
            range of images, instead of clipping them.
        seed: image number i is a function of this and of i.
        batch_size: images drawn at a time, at most (default: 64, or more if they are small); more
            is faster and takes more memory.
        weights: average (the moving average of the parameters) or trained (the parameters as the
            last step left them).
        ema: with which average: "default", or the length of one as a share of training, which is
            made from the checkpoints of a run with ema_sigma_rels.
        step: draw with the checkpoint of this step (default: the newest).
        image_size: height and width in pixels, one number for squares, or the length of sequences
            (default: as the run was configured). The network takes other sizes too; how good they
            look is not promised.
        amp_level: O0 draws in float32, O1 to O3 in half precision, as train has them.
        amp_dtype: float16 or bfloat16; on a CPU that can multiply it, bfloat16 with O1 is faster.
        device: auto (an Ascend card if there is one, else the CPU), Ascend, GPU or CPU.
        output: folder to write to (default: RUN/drawn); new, empty, or of an earlier drawing, whose
            files make room.
        like: a picture that sample or paint has drawn with this run: it is drawn again, as its file
            says, and compared (into RUN/repeated). Of the other options only device and output.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    num_samples: int | None = None
    label: tuple[str, ...] = ()
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float | None = None
    guidance_parallel: float | None = None
    guidance_norm: float | None = None
    guidance_momentum: float | None = None
    autoguidance: int | None = None
    sampler: str | None = None
    sampling_timesteps: int | None = None
    spacing: str | None = None
    eta: float | None = None
    variance: str | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: Unbounded | None = None
    s_noise: float | None = None
    order: int | None = None
    variant: str | None = None
    dynamic_threshold: float | None = None
    seed: int = 0
    batch_size: int | None = None
    weights: Literal["average", "trained"] = "average"
    ema: float | Literal["default"] = "default"
    step: int | None = None
    image_size: Annotated[ImageSize | None, tyro.conf.arg(aliases=["--sequence-length"])] = None
    amp_level: str = "O0"
    amp_dtype: str = "float16"
    device: str = "auto"
    output: Path | None = None
    like: Path | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        if self.like is not None:
            self._check_alone()
        check_average(self.ema, self.weights)
        check_precision(self.amp_level, self.amp_dtype)
        check_choice("device", self.device, DEVICES)
        if self.guidance is not None and self.guidance < 0:
            raise ValueError(f"guidance {self.guidance} must not be negative")
        at_least_1(self, "num_samples", "batch_size", "sampling_timesteps", "image_size")
        for name in ("step", "seed", "autoguidance"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} {value} must not be negative")
        shared = {field.name for field in fields(SamplingConfig)}
        given = {n: v for n, v in vars(self).items() if n in shared and v is not None}
        if self.sampler is None:  # it is the run's, which may have these options
            for name in [name for name in given if name in OPTIONS]:
                SamplingConfig(sampler=having_it(name)[-1], **{name: given.pop(name)})
        SamplingConfig().but(**given)

    def _check_alone(self) -> None:
        """See that nothing else is said of a picture that says it all itself."""
        for field in fields(self):
            other = field.name not in ("run", "device", "output", "like")
            if other and getattr(self, field.name) != field.default:
                raise ValueError(
                    f"{field.name} {getattr(self, field.name)} and like {str(self.like)!r}: the "
                    f"picture says how it was drawn, leave {field.name} out"
                )


@dataclass(frozen=True)
class StatusConfig:
    """Options of ``status``.

    Attributes:
        run: folder of a run, as train has written it.
        json: print the facts as JSON.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    json: bool = False

    def __post_init__(self) -> None:
        make_plain(self)


@dataclass(frozen=True)
class ReportConfig:
    """Options of ``report``.

    Attributes:
        run: folder of a run, as train has written it.
        output: the page (default: RUN/report.html).
        draw: ask the network for the film strip and for the loss at each time.
        device: auto (an Ascend card if there is one, else the CPU), Ascend, GPU or CPU.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    output: Path | None = None
    draw: bool = True
    device: str = "auto"

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("device", self.device, DEVICES)


@dataclass(frozen=True)
class ImportConfig:
    """Options of ``import``.

    Attributes:
        weights: a Trainer's model-N.pt (reading it needs PyTorch), or a state dict of a Unet, of a
            GaussianDiffusion or of its EMA, as .safetensors or .pt; or wukong-huahua-ms.ckpt, which
            needs none of the other options.
        image_size: height and width in pixels, one number for squares; weights do not tell.
        results_folder: where the run is written.
        timesteps: number T of noising steps (default: as the weights say; those of a Unet alone do
            not, and neither do they say the next two).
        objective: what the network predicts: pred_noise, pred_x0 or pred_v (default: as the weights
            say).
        beta_schedule: linear, cosine or sigmoid (default: as the weights say).
        sinusoidal_pos_emb_theta: the Unet's option, which weights do not tell.
    """

    weights: Annotated[Path, tyro.conf.Positional]
    image_size: ImageSize | None = None
    results_folder: PathText = "imported"
    timesteps: int | None = None
    objective: str | None = None
    beta_schedule: str | None = None
    sinusoidal_pos_emb_theta: float = 10000.0

    def __post_init__(self) -> None:
        make_plain(self)
        at_least_1(self, "image_size", "timesteps")
        if self.objective is not None:
            check_choice("objective", self.objective, PREDICTIONS)
        if self.beta_schedule is not None:
            check_choice("beta_schedule", self.beta_schedule, SCHEDULES)
        theta = self.sinusoidal_pos_emb_theta
        if not theta > 0:
            raise ValueError(f"sinusoidal_pos_emb_theta {theta} must be positive")


@dataclass(frozen=True)
class ExportConfig:
    """Options of ``export``.

    Attributes:
        run: folder of a run, as train has written it.
        output: the file to write (default: RUN/weights.safetensors, or RUN/lora.safetensors).
        layout: of a run that was trained with --lora-rank, whose names its factors have: mindone
            (the default) or diffusers.
        which: ema (the moving average, which samples are drawn with) or model (as trained last);
            sample calls them average and trained.
    """

    run: Annotated[Path, tyro.conf.Positional]
    output: Path | None = None
    layout: Literal["mindone", "diffusers"] | None = None
    which: Literal["ema", "model"] = "ema"

    def __post_init__(self) -> None:
        make_plain(self)


@dataclass(frozen=True)
class ReplayConfig:
    """Options of ``replay``.

    Attributes:
        run: folder of a run, as train has written it.
        step: number of the update, as in the run's nonfinite.jsonl.
        data: where the images are now (default: where they were).
        device: auto (an Ascend card if there is one, else the CPU), Ascend, GPU or CPU.
    """

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    step: int
    data: PathText | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("device", self.device, DEVICES)
        at_least_1(self, "step")


@dataclass(frozen=True)
class InfoConfig:
    """Options of ``info``.

    Attributes:
        device: auto (an Ascend card if there is one, else the CPU), Ascend, GPU or CPU.
        json: print the facts as JSON.
    """

    device: str = "auto"
    json: bool = False

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("device", self.device, DEVICES)


def at_least_1(config: object, *names: str) -> None:
    """Raise ValueError for a field that is a number, or several, below 1."""
    for name in names:
        value = getattr(config, name)
        if value is not None and min((value,) if isinstance(value, int) else value) < 1:
            raise ValueError(f"{name} {value} must be at least 1")
