"""What a model knew is shown to it while it is taught something new: prior preservation.

Ruiz et al. 2022 (DreamBooth, arXiv 2208.12242, section 3.3): beside the few pictures of a concept,
the model learns from pictures that it has drawn itself, before, for texts without the concept. So
what it draws for those does not drift towards the concept. The loss is

    mean over the concept's pictures + weight times the mean over its own

times 1/2: every second picture of an update is one of its own. They are drawn once, before the
first update, into RUN/prior, as a function of the weights that the run starts from, the texts and
the run's seed: stopped, and given again, the command goes on with those that are there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..config import TrainerConfig
from ..data import Items
from ..diffusion import GaussianDiffusion
from ..process import to_model_range
from ..randomness import batch_indices
from ..runs.config_file import versions
from ..runs.folder import RunFolder
from ..runs.kept import SAMPLES, Kept, Raw, digest
from ..runs.names import PRIOR
from ..runs.own import DRAWN
from ..system.say import bar, say
from .place import Place

AT_ONCE = 50
"""Pictures that are drawn at a time, at most."""


class Prior(NamedTuple):
    """What the model has drawn before.

    Attributes:
        pictures: uint8 (N, C, H, W), or latents as they were drawn, float32.
        texts: that they were drawn for: picture i for text i modulo their number.
        weight: of their loss.
    """

    pictures: NDArray[Any]
    texts: Sequence[str]
    weight: float

    def among(
        self, x_0: NDArray[np.float32], items: Items, seed: int, start: int, positions: range
    ) -> tuple[NDArray[np.float32], Items]:
        """An update with every second one of its own pictures.

        Args:
            x_0: of the items.
            start: the number of the update's first item in the endless stream.
            positions: theirs in the update.
        """
        x_0, said = x_0.copy(), list(items.captions or ())
        chosen = batch_indices(seed, len(self.pictures), start + positions.start, len(positions))
        for place in np.flatnonzero(own(positions)):
            number = chosen[place]
            picture = self.pictures[number]
            if picture.dtype == np.uint8:
                levels = items.x.dtype == np.uint8
                picture = to_model_range(picture if levels else picture / np.float32(255))
            x_0[place] = picture
            said[place] = self.texts[number % len(self.texts)]
        return x_0, items._replace(captions=said)

    def weights(self, positions: range) -> NDArray[np.float64]:
        """What the loss of each item is multiplied by."""
        return np.where(own(positions), self.weight, 1.0)


def own(positions: range) -> NDArray[np.bool_]:
    """Which positions of an update have pictures of the model's own: every second."""
    found: NDArray[np.bool_] = np.arange(positions.start, positions.stop) % 2 == 1
    return found


def read_texts(
    config: TrainerConfig, diffusion: GaussianDiffusion, rows: int, step: int
) -> tuple[str, ...]:
    """The texts of ``config.prior``, one a line; none where nothing is to be drawn any more.

    Args:
        rows: of the token table that the run starts from: what is behind is new.
        step: updates done.

    Raises:
        ValueError: no such file, none in it, a network that is told none, a text with pieces that
            the weights do not know, or one picture an update.
    """
    tokenizer, path = diffusion.tokenizer, config.prior
    if path is None or step:
        return ()
    if config.train_batch_size * config.gradient_accumulate_every < 2:
        raise ValueError("batch_size 1 has no place for a prior picture: make it 2 at least")
    if tokenizer is None:
        raise ValueError(f"prior {path!r} is for networks that are told texts: leave it out")
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(
            f"prior {path!r} cannot be read ({error}): give a file in UTF-8 with one text a line"
        ) from None
    texts = tuple(line.strip() for line in lines if line.strip())
    if not texts:
        raise ValueError(f"prior {path!r} has no text: write what the model draws already, a line")
    for text in texts:
        found = tokenizer.encode(text)
        new = [piece for piece in found.pieces if tokenizer.vocabulary[piece] >= rows]
        if strange := [*found.unknown, *new]:
            raise ValueError(
                f"prior {path!r} says {strange[0]!r}, which the weights that the run starts from "
                f"have never met: leave {text!r} out"
            )
    return texts


def read_prior(run: RunFolder, config: TrainerConfig) -> Prior | None:
    """The pictures of a run that has begun, where it has any.

    Raises:
        ValueError: they are not there, or not all of them.
    """
    if config.prior is None:
        return None
    folder = run.path / PRIOR
    try:
        texts = json.loads((folder / DRAWN).read_text(encoding="utf-8"))["kept"]["texts"]
        pictures = np.load(folder / SAMPLES, allow_pickle=False)[: config.prior_number]
        if len(pictures) < config.prior_number:
            raise ValueError(f"{len(pictures)} of {config.prior_number} pictures")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{str(folder)!r}, what the model of the run {str(run.path)!r} drew before its first "
            f"update, cannot be read ({error}): bring it back"
        ) from None
    return Prior(pictures, texts, config.prior_weight)


def make_prior(
    place: Place,
    config: TrainerConfig,
    diffusion: GaussianDiffusion,
    texts: Sequence[str],
    interrupted: threading.Event,
) -> Prior:
    """Draw the pictures of a run that is to begin, or go on with it.

    Args:
        place: where the run is trained: the first process draws, and all of them get the pictures.
        diffusion: with the weights that the run starts from.

    Raises:
        KeyboardInterrupt: the event was set meanwhile.
        ValueError: the folder holds what is none of this.
    """
    world, run = place
    kind = np.uint8 if diffusion.config.auto_normalize else np.float32
    pictures: NDArray[Any] = np.zeros((config.prior_number, *diffusion.shape), kind)
    with place.turn():
        if world.leads:
            pictures = _drawn(run, config, diffusion, texts, interrupted)
    if world.size > 1:
        shared = pictures.astype(np.int32) if kind == np.uint8 else pictures
        pictures = world.gather(shared)[0].astype(kind)
    return Prior(pictures, texts, config.prior_weight)


def _drawn(
    run: RunFolder,
    config: TrainerConfig,
    diffusion: GaussianDiffusion,
    texts: Sequence[str],
    interrupted: threading.Event,
) -> NDArray[Any]:
    number, seed = config.prior_number, config.seed
    by = {
        "versions": versions(),
        "network": digest(diffusion.model.arrays()),
        "texts": list(texts),
        "sampling": diffusion.sampling.facts(diffusion.schedule.T),
        "guidance": diffusion.sampling.cond_scale,
        "seed": seed,
    }
    form = None if diffusion.config.auto_normalize else Raw("latents", "<f4")
    with Kept(run.path / PRIOR, number, diffusion.shape, by, form) as kept:
        most = AT_ONCE if form is None else config.train_batch_size  # their network may be large
        size, total = min(number, most), len(diffusion.plan())
        if kept.finished < number:
            say(f"drawing {number} pictures for {len(texts)} texts, which the model is to keep")
        batches = range(kept.finished, number, size)
        with bar(total=total * len(batches), desc="drawing", unit="evaluation") as shown:

            def on_step() -> None:
                shown.update()
                if interrupted.is_set():
                    raise KeyboardInterrupt

            try:
                for first in batches:
                    said = [texts[i % len(texts)] for i in range(first, first + size)]
                    drawn = diffusion.sample(
                        size, first=first, seed=seed, condition=said, on_step=on_step
                    )
                    kept.add(kept.form.units(drawn)[: number - first])
            except KeyboardInterrupt:
                say(
                    f"stopped: {kept.finished} of {number} pictures are kept; the same command "
                    "goes on with them",
                    error=True,
                )
                raise
        return kept.items()
