"""What draws for the page: a run's network, with the settings that a request asks for."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray
from PIL import Image

from ...reference.config.samplers import SAMPLERS
from ...reference.schedule import spaced_timesteps
from ...reference.tasks.paths import with_jumps
from ..data.classes import numbers_of
from ..data.texts import EXAMPLES
from ..data.told import check_condition
from ..denoiser import clipped, denoiser
from ..process import to_model_range, to_uint8, to_unit_range
from ..randomness import Purpose, normal
from ..reports.embedded import data_uri
from ..reports.pictures import png
from ..runs.opened import OpenedRun
from ..runs.provenance import asked_again, drawn_by, facts
from ..tasks import Solver
from ..tasks.inpainting import repaint
from .asked import Asked, Offer

Pixels = NDArray[np.uint8]
Show = Callable[[dict[str, Any]], None]

JUMPS = 5, 3
"""Steps that a walk returns, and how often, where a part of a picture is painted."""


@dataclass
class Artist:
    """Draws ``number`` pictures at a time, always as many: another number is compiled anew.

    Attributes:
        run: whose weights draw.
        name: what the run is called.
        number: pictures of a drawing.
        labels: its classes, if it is told any.
        remarks: what is to be said of a text, in English and in Chinese.
    """

    run: OpenedRun
    name: str
    number: int
    labels: tuple[str, ...] = ()
    remarks: Callable[[str], Sequence[tuple[str, str]]] = lambda text: ()
    _filling: _Watched | None = field(default=None, init=False)

    @property
    def offer(self) -> Offer:
        """What may be asked for."""
        diffusion = self.run.diffusion
        plain = self.run.decode is None and diffusion.config.auto_normalize
        return Offer(
            diffusion.shape,
            self.labels,
            diffusion.model.captioned,
            min(diffusion.schedule.T, 1000),
            plain,
        )

    def facts(self) -> dict[str, Any]:
        """What the page has to know."""
        run, offer = self.run, self.offer
        sampling = run.diffusion.sampling
        return {
            **{"name": self.name, "step": run.step, "weights": run.weights},
            **{"shape": offer.shape, "labels": offer.labels, "texts": offer.texts},
            **{"samplers": list(SAMPLERS), "sampler": sampling.name, "most": offer.steps},
            **{"steps": sampling.steps(run.diffusion.schedule.T), "guidance": sampling.cond_scale},
            **{"number": self.number, "fills": offer.fills},
            "example": EXAMPLES.get(run.config.data, "") if offer.texts else "",
        }

    def draw(self, asked: Asked, show: Show) -> dict[str, Any]:
        """Draw; what the page is told at the end.

        Args:
            show: called after every step with how far it is; what it raises ends the drawing.

        Raises:
            ValueError: settings that do not fit each other.
        """
        drawn, text = (self._sample if asked.picture is None else self._fill)(asked, show)
        told = {"Label": asked.label} if asked.label is not None else {}
        told |= {"Label": asked.prompt} if self.offer.texts else {}
        files = (png(_image(x), {**text, **told, "Image": str(i)}) for i, x in enumerate(drawn))
        found: dict[str, Any] = {"pictures": [base64.b64encode(file).decode() for file in files]}
        return {**found, "remarks": list(self.remarks(asked.prompt))}

    def _sample(self, asked: Asked, show: Show) -> tuple[Pixels, dict[str, str]]:
        run, diffusion = self.run, self.run.diffusion
        options: dict[str, Any] = {
            "sampler": asked.sampler,
            "sampling_timesteps": asked.steps,
            "cond_scale": asked.guidance,
        }
        sampling = diffusion.sampling.but(**options)
        view = _View(len(diffusion.plan(**options)), show)
        said: dict[str, Any] = {}
        if self.labels:
            said["classes"] = [self.labels.index(asked.label or self.labels[0])] * self.number
        elif self.offer.texts:
            said["condition"] = [asked.prompt] * self.number

        def on_state(x: NDArray[np.float32]) -> None:
            view(x if run.decode is None and diffusion.config.auto_normalize else None)

        drawn = diffusion.sample(self.number, seed=asked.seed, on_state=on_state, **said, **options)
        text = facts(run.config, run.step, run.weights, sampling, asked.seed)
        return to_uint8(run.units(drawn)), text | asked_again(self.number, run.config)

    def _fill(self, asked: Asked, show: Show) -> tuple[Pixels, dict[str, str]]:
        assert asked.picture is not None and asked.mask is not None
        run, diffusion, shape = self.run, self.run.diffusion, self.run.diffusion.shape
        length, repeats = JUMPS
        timesteps = spaced_timesteps(diffusion.schedule.T, asked.steps)
        moves = with_jumps(timesteps, length, repeats)
        view = _View(sum(s < t for t, s in moves), show)
        solver = self._solver(view)
        solver.tell(self._told(asked))
        indices = range(self.number)
        picture = to_model_range(asked.picture)
        drawn = repaint(
            solver,
            normal(asked.seed, Purpose.SAMPLE_START, 0, indices, shape),
            np.repeat(picture[None], self.number, axis=0),
            asked.mask.astype(np.float64),
            timesteps=timesteps,
            noise=lambda i: normal(asked.seed, Purpose.SAMPLE_NOISE, i, indices, shape),
            jump_length=length,
            jump_repeats=repeats,
        )
        done = {"steps": asked.steps, "spacing": "uniform", "task": "inpaint", "method": "repaint"}
        done |= {"jump_length": length, "jump_repeats": repeats}
        text = drawn_by(run.config, run.step, run.weights, done, asked.seed)
        return to_uint8(to_unit_range(drawn)), text

    def _solver(self, view: _View) -> _Watched:
        """The same each time: its graph is compiled once."""
        if self._filling is None:
            diffusion = self.run.diffusion
            predict_x0 = denoiser(diffusion.model)
            if diffusion.sampling.clip_denoised:
                predict_x0 = clipped(predict_x0)
            self._filling = _Watched(diffusion.schedule, diffusion.levels, predict_x0)
        self._filling.view = view
        return self._filling

    def _told(self, asked: Asked) -> NDArray[Any] | None:
        """What the network is told of each picture."""
        model = self.run.diffusion.model
        said: Sequence[str] | NDArray[np.int32]
        if self.labels:
            label = numbers_of(self.labels.index(asked.label or self.labels[0]), len(self.labels))
            return np.repeat(label[None], self.number)
        if not self.offer.texts:
            return None
        said = [asked.prompt] * self.number
        return check_condition(model, said, self.number, tokenizer=self.run.diffusion.tokenizer)


class _View:
    """Shows states as they come."""

    def __init__(self, total: int, show: Show) -> None:
        self._total, self._show, self._step = total, show, 0

    def __call__(self, x: NDArray[np.float32] | None) -> None:
        self._step += 1
        frames = []
        if x is not None:
            pixels = to_uint8(np.clip(to_unit_range(x), 0.0, 1.0))
            frames = [data_uri(_image(image)) for image in pixels]
        self._show({"step": self._step, "of": self._total, "frames": frames})


class _Watched(Solver):
    """Shows what the network takes its states for."""

    view: _View

    def ask(
        self, step: Any, x: Tensor, t: float, noise: Tensor, before: Tensor, *told: Any
    ) -> tuple[Tensor, ...]:
        result = super().ask(step, x, t, noise, before, *told)
        self.view(result[1].asnumpy())
        return result


def _image(pixels: Pixels) -> Image.Image:
    """Turn (C, H, W) into a picture; of other numbers of channels the first."""
    shown = pixels if len(pixels) in (1, 3, 4) else pixels[:1]
    shown = shown.transpose(1, 2, 0)
    return Image.fromarray(shown[..., 0] if shown.shape[-1] == 1 else shown)
