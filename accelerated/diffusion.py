"""GaussianDiffusion: a network, a schedule and an objective, to be trained and sampled from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from ..reference.config import SamplingConfig
from ..reference.config.sampling import check_together
from ..reference.levels import Levels
from ..reference.plain import as_plain
from ..reference.schedule import make_schedule
from ..reference.text.tokenizer import Tokenizer
from .batch import MicroBatch, times_and_noise
from .config import configurations, sides
from .data.told import negative_of, of_training, told
from .denoiser import denoiser, limited
from .guidance import Classifier, Guidance
from .networks.network import Network
from .process import checked, to_model_range, to_unit_range
from .randomness import Purpose, coins, keep_masks, normal
from .samplers import Plan, ancestral_plan, plan_for, run_plan, sampling_step
from .system.compile_cache import compiled
from .thresholding import limit_of
from .training import training_loss


class GaussianDiffusion:
    """Denoising diffusion (arXiv 2006.11239) around a network.

    Args:
        model: the network; its ``config`` says how many channels images have.
        image_size: height and width, one number for squares. For data that are no images, their
            sides: (L,) for sequences (C, L), () for vectors (C,).
        seed: where the noise of ``diffusion(images)`` and ``sample`` comes from.
        options: every other field of ``DiffusionConfig`` and of ``SamplingConfig`` (in
            :mod:`ddpm_mindspore.reference.config`), whose ``eta`` is ``ddim_sampling_eta`` here.

    Attributes:
        class_names: what the classes are called, where that is known: ``classes`` may name them.
        tokenizer: what cuts texts, for a network that is told any: ``condition`` may be texts.
        states: from their ids to what a frozen text encoder has made of them, which it is told.

    Raises:
        ValueError: options that contradict each other or do not fit the network.
    """

    class_names: tuple[str, ...] = ()
    tokenizer: Tokenizer | None = None
    states: Callable[[NDArray[np.int32]], NDArray[np.float32]] | None = None

    def __init__(
        self, model: Network, *, image_size: int | Sequence[int], seed: int = 0, **options: Any
    ) -> None:
        self.model = model
        self.config, self.sampling = config, sampling = configurations(options)
        check_together(model.config, config, sampling)
        self.image_size = sides(image_size)
        self.seed = as_plain("seed", seed, int)
        model.config.check_image_size(self.image_size)
        self.schedule = make_schedule(
            config.beta_schedule, config.timesteps, zero_terminal_snr=config.zero_terminal_snr
        )
        self.levels = Levels(self.schedule, config)
        self.loss = training_loss(model, config.loss_type, model.config.self_condition)
        self._compiled_loss = compiled(self.loss)
        self._guidances: dict[Any, Guidance] = {}
        self._calls = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, *spatial) of one item: (C, H, W) of an image."""
        return (self.model.config.channels, *self.image_size)

    def __call__(
        self,
        images: NDArray[Any] | Tensor,
        classes: Any = None,
        *,
        condition: NDArray[Any] | Sequence[str] | None = None,
    ) -> Tensor:
        """The training loss of images (B, C, H, W) in [0, 1] (or uint8): a scalar tensor.

        For a network with classes ``classes`` (B,): the class of each, by number or name, or one
        for all. For one that takes another condition that, ``condition`` (B, ...), or texts.

        t, noise and the rest are drawn anew for each call. Differentiable, with ``loss = lambda x:
        diffusion(x)``, by ``mindspore.value_and_grad(loss, None, model.trainable_params())``.

        Raises:
            ValueError: images of another shape, or beyond [0, 1]; no condition where one is needed.
        """
        x = checked("images", images, self.shape, self.config.auto_normalize)
        known = told(self, classes, condition, len(x))
        x_0 = to_model_range(x, self.config.auto_normalize)
        batch = self.micro_batch(x_0, self._calls, range(len(x)), self.seed, known)
        self._calls += 1
        return self._compiled_loss(*batch.tensors())

    def micro_batch(
        self,
        x_0: NDArray[np.float32],
        step: int,
        positions: Sequence[int],
        seed: int,
        condition: NDArray[Any] | Sequence[str] | None = None,
    ) -> MicroBatch:
        """Everything that is random about one gradient, keyed by (seed, step, position).

        Args:
            x_0: (B, C, *spatial) in [-1, 1].
            step: number of the update.
            positions: (B,) each image's place among all that this update sees.
            seed: the run's seed.
            condition: (B, ...), what is known of each, of which a share ``cond_drop_prob`` is not
                told, for a network that takes one.
        """
        config = self.model.config
        t, noise = times_and_noise(self.schedule, self.config, x_0, step, positions, seed)
        self_cond_mask = np.zeros(len(x_0), bool)
        if config.self_condition:
            self_cond_mask = coins(seed, Purpose.SELF_CONDITION, step, positions)
        masks = None
        if config.dropout:
            masks = [
                keep_masks(seed, step, positions, shape, config.dropout, layer=layer)
                for layer, shape in enumerate(self.model.dropout_shapes(self.image_size))
            ]
        known = of_training(self, condition, len(x_0), seed, step, positions)
        return MicroBatch(x_0, t, noise, self_cond_mask, masks, known, self.levels(t))

    def sample(
        self,
        batch_size: int = 16,
        return_all_timesteps: bool = False,
        *,
        num_samples: int | None = None,
        sampler: str | None = None,
        sampling_timesteps: int | None = None,
        spacing: str | Sequence[float] | None = None,
        eta: float | None = None,
        seed: int | None = None,
        first: int = 0,
        image_size: int | Sequence[int] | None = None,
        classes: Any = None,
        condition: NDArray[Any] | Sequence[str] | str | None = None,
        negative: NDArray[Any] | str | None = None,
        weak: Network | None = None,
        classifier: Classifier | None = None,
        on_step: Callable[[], None] = lambda: None,
        on_state: Callable[[NDArray[np.float32]], None] | None = None,
        **options: Any,
    ) -> NDArray[np.float32]:
        """Draw images.

        Image number i depends on (seed, i) alone, whatever the batch size.

        Args:
            batch_size: how many images are drawn at a time.
            return_all_timesteps: return the states on the way too.
            num_samples: how many in all (default: one batch).
            sampler, sampling_timesteps, spacing, eta, seed: as in the constructor, for this call.
            first: the number of the first image.
            image_size: another height and width than was trained on, which can be halved as often
                as the network does. The pictures may be worse the further it is from that.
            classes: the class of each image, by number or name, or one for all of them.
            condition: (num_samples, ...) what else each is told or shown, or texts, or one for all;
                negative: (...) what it is guided away from (default of texts: the empty one).
            weak, classifier: a weaker network, or a classifier to guide by; see ``guidance.py``.
            options: all else that ``SamplingConfig`` has, as ``cond_scale``, for this call.
            on_step: called after every evaluation of the network for a batch; on_state before it,
                with the state that it led to, on the scale of the process.

        Returns:
            (num_samples, C, H, W) float32 in [0, 1]. With ``return_all_timesteps``
            (num_samples, 1 + evaluations, C, H, W), from x_T to the pictures, on the scale of
            pictures; only these last ones are cut to [0, 1].

        Raises:
            ValueError: a number out of its range, an option that the sampler has not, an image size
                that the network cannot take, a class that there is not, or no condition.
        """
        batch_size = as_plain("batch_size", batch_size, int)
        count = batch_size if num_samples is None else as_plain("num_samples", num_samples, int)
        for name, value in (("batch_size", batch_size), ("num_samples", count)):
            if value < 1:
                raise ValueError(f"{name} {value} must be at least 1")
        size = sides(self.image_size if image_size is None else image_size)
        self.model.config.check_image_size(size)
        known = told(self, classes, condition, count, size)
        walk = {"sampler": sampler, "sampling_timesteps": sampling_timesteps, "spacing": spacing}
        sampling = self.sampling.but(**walk, **options, eta=eta)
        sampling.check_network(self.model.config)
        plan = plan_for(self.schedule, sampling)
        guidance = self._guidance(sampling, plan.learned)
        away = negative_of(self, negative) if sampling.guides else None
        rows, seed = self.levels(plan.timesteps), self.seed if seed is None else seed
        batches = []
        for start in range(0, count, batch_size):
            # The last batch is filled up: another shape would be compiled anew.
            indices = range(first + start, first + start + min(batch_size, count))
            states = [normal(seed, Purpose.SAMPLE_START, 0, indices, (self.shape[0], *size))]
            watched = [states.append] if return_all_timesteps else []
            watched += [on_state] if on_state is not None else []
            # As the images are: what the last batch is filled up with is of no account.
            of_each = None if known is None else known[(np.array(indices) - first) % count]
            step = guidance.walk(sampling, rows, of_each, weak, classifier, away)
            drawn = self._run(step, plan, states[0], seed, indices, on_step, watched, of_each)
            drawn = np.stack(states, 1) if return_all_timesteps else drawn
            batches.append(drawn[: count - start])
        images, normalize = np.concatenate(batches), self.config.auto_normalize
        if not return_all_timesteps or not normalize:
            return to_unit_range(images, normalize=normalize)
        on_the_way, last = np.split(images, [-1], axis=1)
        return np.concatenate([to_unit_range(on_the_way, clip=False), to_unit_range(last)], axis=1)

    def plan(self, **options: Any) -> Plan:
        """The sampler's table, as long as evaluations are many; options as of ``sample``."""
        return plan_for(self.schedule, self.sampling.but(**options))

    def _guidance(self, sampling: SamplingConfig, variance: bool = False) -> Guidance:
        """The compiled steps, for what is done to estimates; ``variance``: with the learned one."""
        clip = sampling.clip_denoised and self.config.auto_normalize
        key = clip, sampling.dynamic_threshold, variance
        if key not in self._guidances:
            limit = limit_of(clip, sampling.dynamic_threshold)
            plain = compiled(sampling_step(limited(denoiser(self.model, variance), limit)))
            self._guidances[key] = Guidance(self.model, plain, limit, variance)
        return self._guidances[key]

    def interpolate(
        self,
        x1: NDArray[Any],
        x2: NDArray[Any],
        t: int | None = None,
        lam: float = 0.5,
        *,
        seed: int | None = None,
        classes: Any = None,
        condition: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        """Noise two sets of images to step t, mix them, and sample back (2006.11239, section 4.3).

        Args:
            x1, x2: (B, C, H, W) in [0, 1] or uint8.
            t: 1..T, how far to noise (default: T); the more, the freer the result.
            lam: the share of x2 in the mixture.
            classes, condition: what each is to become, as ``sample`` takes them.

        Returns:
            (B, C, H, W) float32 in [0, 1].

        Raises:
            ValueError: shapes that differ, or t or lam out of range.
        """
        T, seed = self.schedule.T, self.seed if seed is None else seed
        t = T if t is None else t
        if not 1 <= t <= T:
            raise ValueError(f"t {t} is outside 1..{T}")
        if not 0.0 <= lam <= 1.0:
            raise ValueError(f"lam {lam} is outside [0, 1]")
        normalize = self.config.auto_normalize
        first, second = (
            to_model_range(checked(name, x, self.shape, normalize), normalize)
            for name, x in (("x1", x1), ("x2", x2))
        )
        if first.shape != second.shape:
            raise ValueError(f"x2 has shape {second.shape}: give it x1's, {first.shape}")
        indices = range(len(first))
        # One noise for both: noise of their own would shrink the variance of the mixture.
        noise = normal(seed, Purpose.SAMPLE_START, 0, indices, self.shape)
        mixed = (1.0 - lam) * first + lam * second
        signal, sigma = self.schedule.sqrt_alpha_bar[t], self.schedule.sqrt_one_minus_alpha_bar[t]
        x_t = (signal * mixed + sigma * noise).astype(np.float32)
        plan = ancestral_plan(self.schedule, range(t, 0, -1))
        known = told(self, classes, condition, len(first))
        plain = self._guidance(self.sampling).plain
        drawn = self._run(plain, plan, x_t, seed, indices, condition=known)
        return to_unit_range(drawn, normalize=normalize)

    def _run(
        self,
        step: Callable[..., Any],
        plan: Plan,
        x: NDArray[np.float32],
        seed: int,
        indices: Sequence[int],
        on_step: Callable[[], None] = lambda: None,
        on_state: Sequence[Callable[[NDArray[np.float32]], object]] = (),
        condition: NDArray[Any] | None = None,
    ) -> NDArray[np.float32]:
        def noise(i: int) -> NDArray[np.float32]:
            return normal(seed, Purpose.SAMPLE_NOISE, i, indices, x.shape[1:])

        known = None if condition is None else Tensor(condition)
        return run_plan(step, plan, x, noise, self.levels, on_step, on_state, known)
