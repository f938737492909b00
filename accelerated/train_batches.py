"""What every update sees, as a function of its number alone."""

from __future__ import annotations

from .config import TrainerConfig
from .data import Images, read_batch
from .diffusion import GaussianDiffusion
from .process import to_model_range
from .randomness import Purpose, coins
from .train_step import MicroBatch


class Batches:
    """Data and noise of update 1, 2, ...: called with its number, its micro-batches.

    A run resumes exactly because nothing here has a state.
    """

    def __init__(self, images: Images, diffusion: GaussianDiffusion, config: TrainerConfig) -> None:
        self.images, self._diffusion, self._config = images, diffusion, config

    @property
    def images_per_step(self) -> int:
        """Images that one update sees."""
        return self._config.train_batch_size * self._config.gradient_accumulate_every

    def __call__(self, step: int) -> list[MicroBatch]:
        """The micro-batches of update number ``step``."""
        return [self._micro_batch(step, i) for i in range(self._config.gradient_accumulate_every)]

    def _micro_batch(self, step: int, i: int) -> MicroBatch:
        seed, size = self._config.seed, self._config.train_batch_size
        positions = range(i * size, (i + 1) * size)
        start = (step - 1) * self.images_per_step + i * size
        x_0 = to_model_range(read_batch(self.images, seed, start, size))
        if self._config.augment_horizontal_flip:
            flip = coins(seed, Purpose.FLIP, step, positions)
            x_0[flip] = x_0[flip, ..., ::-1]
        return self._diffusion.micro_batch(x_0, step, positions, seed)
