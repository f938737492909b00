"""What a network is told of pictures in training: their captions as ids, by the table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.data.scenes import SceneImages
from ddpm_mindspore.accelerated.diffusion import GaussianDiffusion
from ddpm_mindspore.accelerated.networks.text_unet import TextUnet
from ddpm_mindspore.accelerated.trainer.batches import Batches
from ddpm_mindspore.parity.examples.text import UNET, WORDS
from ddpm_mindspore.parity.examples.values import Case, seeds
from ddpm_mindspore.parity.judgement.compare import check, reproducible
from ddpm_mindspore.parity.report import budget
from ddpm_mindspore.parity.sides import random_table
from ddpm_mindspore.reference.text.tokenizer import shipped

SCENES = 60
WITHHELD = 0.1


@st.composite
def caption_cases(draw: st.DrawFn) -> Case:
    """A seed, updates, and how many pictures each sees."""
    return {
        "seed": draw(seeds()),
        "steps": (draw(st.integers(1, 50)),),
        "batch": draw(st.sampled_from((40, 1, 7, 100))),
    }


@budget.examples(0.2)
@given(case=caption_cases())
def test_captions(case: Case) -> None:
    """the ids of what is said of each picture, or of the empty text where it is withheld"""
    captions(**case)


@reproducible
def captions(seed: int, steps: Sequence[int], batch: int) -> None:
    """Of scenes, in updates of ``batch`` pictures: the conditions of ``Batches``."""
    images, tokenizer = SceneImages(count=SCENES), shipped()
    options = {**UNET, **WORDS, "channels": 3, "vocabulary": tokenizer.size, "length": 24}
    diffusion = GaussianDiffusion(TextUnet(**options), image_size=16)
    diffusion.tokenizer = tokenizer
    config = TrainerConfig(train_batch_size=batch, seed=seed)
    make = Batches(images, diffusion, config)
    for step in steps:
        (actual,) = make(step)
        places = range((step - 1) * batch, step * batch)
        shown = random_table.images(seed, SCENES, places)
        withheld = random_table.coins(seed, "untold", step, range(batch), WITHHELD)
        said = []
        for place, number, nothing in zip(places, shown, withheld, strict=True):
            known = images.captions(number)
            chance = random_table.generator(random_table.stream(seed, "caption", 0, place))
            text = known[int(chance.random() * len(known))]
            said.append("" if nothing else text)
        expected = tokenizer.rows(said, 24)
        told = np.empty(0) if actual.condition is None else actual.condition
        check(f"ids of update {step}", told, expected, 0.0)
