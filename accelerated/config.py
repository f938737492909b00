"""Configuration: dataclasses that the library, the command line and ``config.json`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import tyro

from ..reference.config import (
    AnyNetwork,
    DiffusionConfig,
    OptimizerConfig,
    SamplingConfig,
    UnetConfig,
)
from ..reference.config.sampling import check_together
from ..reference.evaluation import LEAST
from ..reference.plain import (
    PathText,
    Unbounded,
    as_plain,
    check_choice,
    check_encoding,
    make_plain,
)
from .choices import check_precision, check_sigma_rel
from .system.runtime import DEVICES

CROPS = ("center", "random", "random_resized", "none")

ImageSize: TypeAlias = int | tuple[int, int]
Sides: TypeAlias = int | tuple[int, ...]
"""The size of anything (C, *spatial); one number stands for a square."""


@dataclass(frozen=True)
class TrainerConfig(OptimizerConfig):
    """How long, how fast and from what a network is trained, and what is kept of it.

    Attributes:
        train_num_steps: optimiser steps in all.
        train_batch_size: images that one gradient is computed from.
        gradient_accumulate_every: gradients that are averaged for one optimiser step.
        recompute: keep less of what gradients need, and compute it again: less memory, more time
            and the same numbers.
        train_lr: learning rate of Adam.
        ema_sigma_rels: more averages, over the whole of training: their lengths as a share of it,
            up to 0.28 (arXiv 2312.02696). Two, as 0.05 0.10, let sample --ema X make one of any
            length from the checkpoints that are kept (see keep_every).
        amp_level: how much of the network computes in half precision: O0 nothing, O1 convolutions
            and matrix products, O2 all but norms, softmaxes and the time embedding, O3 the linear
            layers of the time embedding too. Parameters and the loss are always in float32.
        amp_dtype: float16, with a loss scale that adapts itself, or bfloat16 (on a CPU O1 alone).
        max_nonfinite_steps: training stops after so many steps in a row whose loss or gradient is
            NaN or infinite; each of them is left out and noted in nonfinite.jsonl.
        crop: which part of an image is shown if its proportions are not those of image_size:
            center, random (another place each time), random_resized (of another size as well) or
            none (the whole image, squeezed).
        crop_min_share: side of random_resized's smallest part, as a share of the largest.
        augment_horizontal_flip: show each image mirrored half of the time.
        only_class: train on these classes alone: sub-folders of the data, or digits.
        conditional: tell the network the class of each image (its sub-folder, or which digit it
            is), so that sample --label can ask for one.
        super_resolve: train to enlarge images so many times: the network is shown each image as
            many times smaller, and super-resolve draws what it may be the small picture of.
        leave_out: columns of a table that are not learned, such as texts and dates.
        caption_encoding: read what is said of the images, too, from lists in the data folder that
            are in this encoding (utf-8, gbk), tell the network, and leave out images of which
            nothing is said (default: only where the network is told captions; utf-8).
        data_memory_gb: decoded images are kept in memory up to this size (inf: all); data that is
            larger is read from the disk again in every epoch.
        data_cache: a folder for decoded images, so that photographs are decoded once, and not at
            every start and in every epoch (for crops that are not random). Takes width x height x
            channels bytes an image; may be deleted. With an autoencoder it has the latents, which
            are in the run's folder else.
        autoencoder: train on the latents that this frozen autoencoder makes of pictures, computed
            once: a run that has one (as import makes it), or a file. image_size is that of the
            latents.
        scale_factor: what latents are multiplied by: a number, or measured, so that their deviation
            is 1 (default: as the autoencoder was used before).
        save_and_sample_every: optimiser steps between two checkpoints with samples.
        num_samples: images drawn at each of them.
        evaluate_every: measure how good samples are at checkpoints of steps that this divides, into
            evaluations.jsonl (None: at none).
        evaluate_samples: how many samples that takes.
        keep_last: newest checkpoints that are kept (None: all); older ones are removed once a newer
            one is safely on the disk.
        keep_every: checkpoints of steps that this divides are never removed (None: no step).
        tensorboard: write the metrics for TensorBoard too (needs the package tensorboardX).
        results_folder: where everything is written.
        resume: go on from the newest checkpoint in results_folder.
        from_run: start a new run from the weights of this one (its folder, or that of one of its
            checkpoints), with its network, diffusion and image size unless told otherwise.
        from_weights: start from its average or from the parameters as trained last.
        prior: a file of texts, one a line, for which pictures are drawn before training, which are
            every second one then, so that the model keeps what it knew (arXiv 2208.12242).
        prior_number: how many pictures that are.
        prior_weight: what their loss counts, beside 1 for that of the data.
        distributed: this is one of the processes that msrun has started, each with a device and a
            batch of batch_size images of its own.
        strict: refuse a folder that holds a file that cannot be decoded, or that is neither an
            image nor text, instead of leaving it out.
        seed: initial parameters, order of the data and all noise are functions of it.

    Raises:
        ValueError: a value out of its range.
    """

    RATE: ClassVar[str] = "train_lr"

    train_num_steps: Annotated[int, tyro.conf.arg(name="steps")] = 100_000
    train_batch_size: Annotated[int, tyro.conf.arg(name="batch-size")] = 16
    gradient_accumulate_every: int = 1
    recompute: bool = False
    train_lr: Annotated[float, tyro.conf.arg(name="lr")] = 1e-4
    ema_sigma_rels: tuple[float, ...] = ()
    amp_level: str = "O0"
    amp_dtype: str = "float16"
    max_nonfinite_steps: int = 10
    crop: str = "center"
    crop_min_share: float = 0.8
    augment_horizontal_flip: bool = False
    only_class: tuple[str, ...] = ()
    conditional: bool = False
    super_resolve: int | None = None
    leave_out: tuple[str, ...] = ()
    caption_encoding: str | None = None
    data_memory_gb: Unbounded = 2.0
    data_cache: PathText | None = None
    autoencoder: PathText | None = None
    scale_factor: float | Literal["measured"] | None = None
    save_and_sample_every: Annotated[int, tyro.conf.arg(name="save-every")] = 1000
    num_samples: int = 25
    evaluate_every: int | None = None
    evaluate_samples: int = 500
    keep_last: int | None = 3
    keep_every: int | None = None
    tensorboard: bool = False
    results_folder: PathText = "results"
    resume: bool = False
    from_run: Annotated[PathText | None, tyro.conf.arg(name="from")] = None
    from_weights: Literal["average", "trained"] = "average"
    prior: PathText | None = None
    prior_number: int = 200
    prior_weight: float = 1.0
    distributed: bool = False
    strict: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least_one = (
            *("train_batch_size", "gradient_accumulate_every", "save_and_sample_every"),
            *("num_samples", "max_nonfinite_steps", "keep_last", "keep_every", "evaluate_every"),
            "prior_number",
        )
        for name in at_least_one:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} {value} must be at least 1")
        if (few := self.evaluate_samples) < LEAST:
            raise ValueError(f"evaluate_samples {few} say too little: give {LEAST} at least")
        if self.evaluate_every is not None and self.evaluate_every % self.save_and_sample_every:
            raise ValueError(
                f"evaluate_every {self.evaluate_every} is no multiple of save_and_sample_every "
                f"{self.save_and_sample_every}: checkpoints are what is evaluated"
            )
        if (factor := self.super_resolve) is not None and factor < 2:
            raise ValueError(f"super_resolve {factor} must be at least 2")
        check_choice("crop", self.crop, CROPS)
        if not 0 < self.crop_min_share <= 1:
            raise ValueError(f"crop_min_share {self.crop_min_share} must be more than 0, at most 1")
        if self.prior is not None and not (self.from_run or self.resume):
            raise ValueError(f"prior {self.prior!r} is drawn by a run: name it (--from)")
        if isinstance(self.scale_factor, float) and not self.scale_factor > 0:
            raise ValueError(f"scale_factor {self.scale_factor} must be positive")
        for name in ("data_memory_gb", "prior_weight", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)} must not be negative")
        if self.caption_encoding is not None:
            check_encoding(self.caption_encoding)
        check_precision(self.amp_level, self.amp_dtype)
        for sigma_rel in self.ema_sigma_rels:
            check_sigma_rel("ema_sigma_rels", sigma_rel)
        if len(set(self.ema_sigma_rels)) < len(self.ema_sigma_rels):
            raise ValueError(f"ema_sigma_rels {self.ema_sigma_rels} hold one length twice")


@dataclass(frozen=True)
class RunConfig:
    """All that a run is started with: the options of ``train``.

    Attributes:
        data: a folder of images (any depth, any format, any size), a MindRecord file of images, or
            what comes with the program: "digits", 1,797 of them, handwritten; "scenes", two in
            colours, or "pictures", 902 of animals, food and faces on backgrounds, both with
            captions; a folder of WAV files; a CSV file, whose lines are vectors, or the places of
            one series where a sequence length is given. A run that is resumed has those that it
            had; with others, it goes on if they are named anew.
        image_size: height and width in pixels, one number for squares; images are resized and
            cropped to it. Of sequences the length. Divisible by 2 ** (len(dim_mults) - 1).
        device: auto (an Ascend card if there is one, else the CPU), Ascend, GPU or CPU.
        network: the U-Net, or the network over sequences or vectors.
        diffusion: the diffusion process.
        sampling: how it is sampled from; another one may be chosen at any time.
        trainer: the training run.
    """

    data: PathText
    image_size: Annotated[Sides, tyro.conf.arg(aliases=["--sequence-length"])]
    device: str
    network: tyro.conf.OmitArgPrefixes[tyro.conf.AvoidSubcommands[AnyNetwork]]
    diffusion: tyro.conf.OmitArgPrefixes[DiffusionConfig]
    sampling: tyro.conf.OmitArgPrefixes[SamplingConfig]
    trainer: tyro.conf.OmitArgPrefixes[TrainerConfig]

    def __post_init__(self) -> None:
        make_plain(self)
        check_choice("device", self.device, DEVICES)
        object.__setattr__(self, "image_size", self._size())
        # The U-Net's configuration may also be that of a network of one's own, of other data.
        if len(self.sides) == 2 or self.network.rank != 2:
            self.network.check_image_size(self.sides)
        self.network.check_shown(self.trainer.super_resolve, self.sides)
        check_together(self.network, self.diffusion, self.sampling)

    def _size(self) -> Sides:
        """One number is the length of a sequence, where the network is for sequences."""
        if self.network.rank == 0 and self.image_size != ():
            raise ValueError(
                f"image_size {self.image_size} is for images and sequences: a vector has none"
            )
        if self.network.rank == 1 and isinstance(self.image_size, int):
            return (self.image_size,)
        return self.image_size

    @property
    def sides(self) -> tuple[int, ...]:
        """Height and width; of data that are no images, whatever sides they have."""
        return sides(self.image_size)


def sides(image_size: int | Sequence[int]) -> tuple[int, ...]:
    """The sides of an item; one number stands for a square. ValueError for what is no size."""
    size = as_plain("image_size", image_size, Sides)
    return (size, size) if isinstance(size, int) else size


def configurations(options: Mapping[str, Any]) -> tuple[DiffusionConfig, SamplingConfig]:
    """Both, from options that have the names of ``GaussianDiffusion``'s.

    Raises:
        TypeError: an option that there is not.
        ValueError: values that are out of their range.
    """
    given = {"eta" if name == "ddim_sampling_eta" else name: v for name, v in options.items()}
    own = {field.name for field in fields(SamplingConfig)}
    sampling = SamplingConfig(**{name: v for name, v in given.items() if name in own})
    return DiffusionConfig(**{n: v for n, v in given.items() if n not in own}), sampling


DIGITS = RunConfig(
    data="digits",
    image_size=8,
    device="auto",
    network=UnetConfig(dim=16, dim_mults=(1, 2), channels=1, attn_heads=2, attn_dim_head=16),
    diffusion=DiffusionConfig(),
    sampling=SamplingConfig(),
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
    network=UnetConfig(dim=64),
    diffusion=DiffusionConfig(),
    sampling=SamplingConfig(),
    trainer=TrainerConfig(),
)
"""Where training on a folder of images starts from."""
