"""Configuration: dataclasses that the library, the command line and ``config.json`` share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

import tyro

from ..reference.config import SCHEDULES, UnetConfig, check_choice
from ..reference.plain import PathText, Unbounded, make_plain
from .system.runtime import DEVICES

OBJECTIVES = ("pred_noise", "pred_x0", "pred_v")
LOSSES = ("l1", "l2", "huber")
AMP_LEVELS = ("O0", "O1", "O2", "O3")
AMP_DTYPES = ("float16", "bfloat16")
LR_SCHEDULES = ("constant", "cosine")
CROPS = ("center", "random", "random_resized", "none")
WEIGHTS = {"average": "ema", "trained": "model"}
"""What one may draw with or start from, and which tensors of a checkpoint that is."""

ImageSize: TypeAlias = int | tuple[int, int]


def check_sigma_rel(argument: str, value: float) -> None:
    """Raise ValueError unless ``value`` is a length of an average as a share of training."""
    if not 0.0 < value <= 0.28:
        raise ValueError(f"{argument} {value} must be above 0 and at most 0.28")


@dataclass(frozen=True)
class DiffusionConfig:
    """The diffusion process, what the network predicts, and how it is sampled from.

    Attributes:
        timesteps: number T of noising steps.
        sampling_timesteps: steps taken when sampling: fewer than timesteps means DDIM, None or as
            many means ancestral sampling.
        objective: what the network predicts: pred_noise, pred_x0 or pred_v.
        beta_schedule: linear, cosine or sigmoid.
        zero_terminal_snr: rescale the schedule so that step T is pure noise (arXiv 2305.08891).
        loss_type: l1, l2 or huber.
        p2_loss_weight_gamma: weigh the loss by 1 / (k + SNR)^gamma; 0 turns it off (2204.00227).
        p2_loss_weight_k: the k of that weight.
        min_snr_loss_weight: weigh the loss by min(SNR, gamma) / SNR (2303.09556).
        min_snr_gamma: the gamma of that weight.
        ddim_sampling_eta: noise that DDIM adds, 0 (none) to 1 (as much as ancestral sampling).
        clip_denoised: clip every estimate of x_0 to the range of images while sampling.

    Raises:
        ValueError: a value out of its range, or two that contradict each other.
    """

    timesteps: int = 1000
    sampling_timesteps: int | None = None
    objective: str = "pred_v"
    beta_schedule: str = "sigmoid"
    zero_terminal_snr: bool = False
    loss_type: str = "l2"
    p2_loss_weight_gamma: float = 0.0
    p2_loss_weight_k: float = 1.0
    min_snr_loss_weight: bool = False
    min_snr_gamma: float = 5.0
    ddim_sampling_eta: Annotated[float, tyro.conf.arg(name="eta")] = 0.0
    clip_denoised: bool = True

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("beta_schedule", self.beta_schedule, SCHEDULES)
        check_choice("loss_type", self.loss_type, LOSSES)
        if self.timesteps < 1:
            raise ValueError(f"timesteps {self.timesteps} must be at least 1")
        n = self.sampling_timesteps
        if n is not None and not 1 <= n <= self.timesteps:
            raise ValueError(
                f"sampling_timesteps {n} must be from 1 to timesteps, which is {self.timesteps}"
            )
        if not 0.0 <= self.ddim_sampling_eta <= 1.0:
            raise ValueError(f"ddim_sampling_eta {self.ddim_sampling_eta} must be from 0 to 1")
        if self.p2_loss_weight_gamma < 0:
            raise ValueError(
                f"p2_loss_weight_gamma {self.p2_loss_weight_gamma} must not be negative"
            )
        for name in ("p2_loss_weight_k", "min_snr_gamma"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} {getattr(self, name)} must be positive")
        if self.zero_terminal_snr and self.objective == "pred_noise":
            raise ValueError(
                "zero_terminal_snr leaves nothing of x_0 at step T, where objective 'pred_noise' "
                "learns nothing: choose pred_v or pred_x0"
            )

    def with_sampling(self, sampling_timesteps: int | None, eta: float | None) -> DiffusionConfig:
        """This configuration with other sampling options (None: as they are)."""
        n = self.sampling_timesteps if sampling_timesteps is None else sampling_timesteps
        return replace(
            self,
            sampling_timesteps=n,
            ddim_sampling_eta=self.ddim_sampling_eta if eta is None else eta,
        )


@dataclass(frozen=True)
class TrainerConfig:
    """How long, how fast and from what a network is trained, and what is kept of it.

    Attributes:
        train_num_steps: optimiser steps in all.
        train_batch_size: images that one gradient is computed from.
        gradient_accumulate_every: gradients that are averaged for one optimiser step.
        train_lr: learning rate of Adam.
        warmup_steps: steps over which the learning rate rises from 0.
        lr_schedule: what it does then: constant, or cosine, with which it falls along half a
            cosine and is min_lr at the last step. A run that is resumed with other steps goes on
            along the other cosine.
        min_lr: where the cosine ends.
        adam_betas: decay of Adam's two moments.
        adam_eps: added to the root of Adam's second moment.
        weight_decay: AdamW's: each step takes off this share, times the learning rate, of the
            weights of convolutions and linear layers, not of biases and gains. 0 is Adam.
        max_grad_norm: longer gradients are shortened to this norm; inf shortens none.
        ema_decay: decay of the moving average of the parameters, which samples are drawn with.
        ema_update_every: optimiser steps between two updates of the average; the first is after the
            first step.
        ema_update_after_step: until so many steps are done, each update makes it a copy.
        ema_sigma_rels: more averages, over the whole of training: their lengths as a share of it,
            up to 0.28 (arXiv 2312.02696). Two, as 0.05 0.10, let sample --ema X make one of any
            length from the checkpoints that are kept (see keep_every).
        amp_level: how much of the network computes in half precision: O0 nothing, O1 convolutions
            and matrix products, O2 all but norms, softmaxes and the time embedding, O3 the linear
            layers of the time embedding too. Parameters and the loss are always in float32.
        amp_dtype: half precision is float16, with a loss scale that adapts itself, or bfloat16.
        max_nonfinite_steps: training stops after so many steps in a row whose loss or gradient is
            NaN or infinite; each of them is left out and noted in nonfinite.jsonl.
        crop: which part of an image is shown if its proportions are not those of image_size:
            center, random (another place each time), random_resized (of another size as well) or
            none (the whole image, squeezed).
        crop_min_share: side of random_resized's smallest part, as a share of the largest.
        augment_horizontal_flip: show each image mirrored half of the time.
        only_class: train on these classes alone: sub-folders of the data, or digits.
        data_memory_gb: decoded images are kept in memory up to this size (inf: all); data that is
            larger is read from the disk again in every epoch.
        data_cache: a folder for decoded images, so that photographs are decoded once, and not at
            every start and in every epoch (for crops that are not random). Takes width x height x
            channels bytes an image; may be deleted.
        save_and_sample_every: optimiser steps between two checkpoints with samples.
        num_samples: images drawn at each of them.
        keep_last: newest checkpoints that are kept (None: all); older ones are removed once a newer
            one is safely on the disk.
        keep_every: checkpoints of steps that this divides are never removed (None: no step).
        tensorboard: write the metrics for TensorBoard too (needs the package tensorboardX).
        results_folder: where everything is written.
        resume: go on from the newest checkpoint in results_folder.
        from_run: start a new run from the weights of this one (its folder, or that of one of its
            checkpoints), with its network, diffusion and image size unless told otherwise.
        from_weights: start from its average or from the parameters as trained last.
        distributed: this is one of the processes that msrun has started, each with a device and a
            batch of batch_size images of its own.
        strict: refuse a folder that holds a file that cannot be decoded, or that is neither an
            image nor text, instead of leaving it out.
        seed: initial parameters, order of the data and all noise are functions of it.

    Raises:
        ValueError: a value out of its range.
    """

    train_num_steps: Annotated[int, tyro.conf.arg(name="steps")] = 100_000
    train_batch_size: Annotated[int, tyro.conf.arg(name="batch-size")] = 16
    gradient_accumulate_every: int = 1
    train_lr: Annotated[float, tyro.conf.arg(name="lr")] = 1e-4
    warmup_steps: int = 0
    lr_schedule: str = "constant"
    min_lr: float = 0.0
    adam_betas: tuple[float, float] = (0.9, 0.99)
    adam_eps: float = 1e-8
    weight_decay: float = 0.0
    max_grad_norm: Unbounded = 1.0
    ema_decay: float = 0.995
    ema_update_every: int = 10
    ema_update_after_step: int = 100
    ema_sigma_rels: tuple[float, ...] = ()
    amp_level: str = "O0"
    amp_dtype: str = "float16"
    max_nonfinite_steps: int = 10
    crop: str = "center"
    crop_min_share: float = 0.8
    augment_horizontal_flip: bool = False
    only_class: tuple[str, ...] = ()
    data_memory_gb: Unbounded = 2.0
    data_cache: PathText | None = None
    save_and_sample_every: Annotated[int, tyro.conf.arg(name="save-every")] = 1000
    num_samples: int = 25
    keep_last: int | None = 3
    keep_every: int | None = None
    tensorboard: bool = False
    results_folder: PathText = "results"
    resume: bool = False
    from_run: Annotated[PathText | None, tyro.conf.arg(name="from")] = None
    from_weights: Literal["average", "trained"] = "average"
    distributed: bool = False
    strict: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        make_plain(self)
        at_least_one = (
            *("train_num_steps", "train_batch_size", "gradient_accumulate_every"),
            *("ema_update_every", "save_and_sample_every", "num_samples"),
            *("max_nonfinite_steps", "keep_last", "keep_every"),
        )
        for name in at_least_one:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} must be at least 1")
        check_choice("crop", self.crop, CROPS)
        if not 0 < self.crop_min_share <= 1:
            raise ValueError(f"crop_min_share {self.crop_min_share} must be more than 0, at most 1")
        if self.data_memory_gb < 0:
            raise ValueError(f"data_memory_gb {self.data_memory_gb} must not be negative")
        check_choice("amp_level", self.amp_level, AMP_LEVELS)
        check_choice("amp_dtype", self.amp_dtype, AMP_DTYPES)
        for name in ("train_lr", "adam_eps", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} {getattr(self, name)} must be positive")
        check_choice("lr_schedule", self.lr_schedule, LR_SCHEDULES)
        if self.lr_schedule == "constant" and self.min_lr:
            raise ValueError(f"min_lr {self.min_lr} is for lr_schedule cosine: choose that too")
        if self.min_lr > self.train_lr:
            raise ValueError(
                f"min_lr {self.min_lr} must be at most train_lr, which is {self.train_lr}"
            )
        for name in ("warmup_steps", "min_lr", "weight_decay", "ema_update_after_step", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} must not be negative")
        for beta in self.adam_betas:
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"adam_betas {self.adam_betas} must be at least 0, less than 1")
        if not 0.0 <= self.ema_decay <= 1.0:
            raise ValueError(f"ema_decay {self.ema_decay} must be from 0 to 1")
        for sigma_rel in self.ema_sigma_rels:
            check_sigma_rel("ema_sigma_rels", sigma_rel)
        if len(set(self.ema_sigma_rels)) < len(self.ema_sigma_rels):
            raise ValueError(f"ema_sigma_rels {self.ema_sigma_rels} hold one length twice")


@dataclass(frozen=True)
class RunConfig:
    """All that a run is started with: the options of ``train``.

    Attributes:
        data: a folder of images (any depth, any format, any size), a MindRecord file of images, or
            "digits": 1,797 handwritten digits that come with the program. A run that is resumed has
            those that it had; with others, it goes on if they are named anew.
        image_size: height and width in pixels, one number for squares; images are resized and
            cropped to it. Divisible by 2 ** (len(dim_mults) - 1).
        device: auto (an Ascend card if there is one, else the CPU), Ascend, GPU or CPU.
        unet: the network.
        diffusion: the diffusion process.
        trainer: the training run.
    """

    data: PathText
    image_size: ImageSize
    device: str
    unet: tyro.conf.OmitArgPrefixes[UnetConfig]
    diffusion: tyro.conf.OmitArgPrefixes[DiffusionConfig]
    trainer: tyro.conf.OmitArgPrefixes[TrainerConfig]

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("device", self.device, DEVICES)
        self.unet.check_image_size(self.height_width)

    @property
    def height_width(self) -> tuple[int, int]:
        """Both sides of an image."""
        size = self.image_size
        return (size, size) if isinstance(size, int) else size


DIGITS = RunConfig(
    data="digits",
    image_size=8,
    device="auto",
    unet=UnetConfig(dim=16, dim_mults=(1, 2), channels=1, attn_heads=2, attn_dim_head=16),
    diffusion=DiffusionConfig(timesteps=1000, sampling_timesteps=50),
    trainer=TrainerConfig(
        train_num_steps=2000,
        train_batch_size=64,
        train_lr=2e-3,
        warmup_steps=100,
        ema_update_every=1,
        save_and_sample_every=1000,
        num_samples=64,
    ),
)
"""What trains on the digits of the package in a few minutes on two CPU cores."""

FOLDER = RunConfig(
    data="FOLDER",
    image_size=64,
    device="auto",
    unet=UnetConfig(dim=64),
    diffusion=DiffusionConfig(sampling_timesteps=100),
    trainer=TrainerConfig(),
)
"""Where training on a folder of images starts from."""
