"""``ddpm-mindspore edit``: draw a picture anew from its outline."""

from __future__ import annotations

from ...reference.tasks.editing import from_strength
from ..data.single import read_picture
from ..process import to_model_range
from ..tasks.editing import sdedit
from .given import Array, Walk, asked, carry_out, repeated
from .task_options import EditConfig


def edit(config: EditConfig) -> int:
    """Draw pictures that keep of the image what its noise has left; an exit code.

    Raises:
        ValueError: wrong input, before any long work.
    """
    told = asked(config)
    picture = to_model_range(read_picture(config.image, told.shape, fit=config.fit))
    eta = (told.sampling.eta or 0.0) if config.eta is None else config.eta

    def work(walk: Walk) -> Array:
        return sdedit(
            walk.solver,
            repeated(picture, len(walk.start)),
            strength=config.strength,
            timesteps=told.timesteps,
            start_noise=walk.start,
            noise=walk.noise,
            eta=eta,
        )

    asks = len(from_strength(told.timesteps, config.strength, told.config.diffusion.timesteps))
    task = {"task": "edit", "image": str(config.image), "strength": config.strength}
    task |= {"sampler": "ddim", "eta": eta}
    return carry_out(config, told, config.num_samples, work, task=task, evaluations=asks)
