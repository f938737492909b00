"""What a picture's file says about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from ddpm_mindspore.accelerated.config import DIGITS
from ddpm_mindspore.accelerated.reports.pictures import grid, save_png, save_singles
from ddpm_mindspore.accelerated.runs.provenance import facts, run_digest
from ddpm_mindspore.reference.config import SamplingConfig

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 1, 4, 4), np.uint8)


def text(path: Path) -> dict[str, str]:
    with Image.open(path) as image:
        image.load()
        return dict(image.text)  # type: ignore[attr-defined]


def test_pictures_carry_what_they_are_given_and_their_number(tmp_path: Path) -> None:
    given = {"Software": "ddpm-mindspore", "Comment": "größer als ASCII: 图"}
    save_png(grid(IMAGES), tmp_path / "grid.png", given)
    assert text(tmp_path / "grid.png") == given
    save_singles(IMAGES, tmp_path, given)
    for i, image in enumerate(IMAGES):
        path = tmp_path / f"{i:05d}.png"
        assert text(path) == given | {"Image": str(i)}
        np.testing.assert_array_equal(np.asarray(Image.open(path)), image[0])
    save_png(grid(IMAGES), tmp_path / "plain.png")
    assert text(tmp_path / "plain.png") == {}


def test_the_facts_are_those_of_the_drawing() -> None:
    sampling = DIGITS.sampling.but(sampling_timesteps=20, eta=0.5)
    said = facts(DIGITS, 1200, "trained", sampling, 7)
    assert said.pop("Software").startswith("ddpm-mindspore 0")
    assert said == {
        "Run": run_digest(DIGITS),
        "Step": "1200",
        "Weights": "trained",
        "Sampler": "ddim",
        "Sampling steps": "20",
        "Spacing": "uniform",
        "Eta": "0.5",
        "Seed": "7",
    }
    ancestral = facts(DIGITS, 1, "average", SamplingConfig(sampler="ancestral"), 0)
    assert (ancestral["Sampler"], ancestral["Sampling steps"]) == ("ancestral", "1000")
    assert "Eta" not in ancestral
    listed = SamplingConfig(spacing="900,300.5,1", dynamic_threshold=0.995)
    said = facts(DIGITS, 1, "average", listed, 0)
    assert (said["Sampling steps"], said["Spacing"]) == ("3", "900 300.5 1")
    assert said["Dynamic threshold"] == "0.995"


def test_a_run_keeps_its_digest_when_it_is_moved_or_resumed_and_shares_it_with_no_other() -> None:
    own = run_digest(DIGITS)
    assert len(own) == 16 and own == run_digest(DIGITS)
    trainer = replace(DIGITS.trainer, results_folder="moved", resume=True, train_num_steps=9)
    assert run_digest(replace(DIGITS, device="CPU", image_size=(8, 8), trainer=trainer)) == own
    others = [
        replace(DIGITS, data="photos"),
        replace(DIGITS, image_size=16),
        replace(DIGITS, network=replace(DIGITS.network, dim=32)),
        replace(DIGITS, diffusion=replace(DIGITS.diffusion, objective="pred_x0")),
        replace(DIGITS, trainer=replace(DIGITS.trainer, seed=1)),
        replace(DIGITS, trainer=replace(DIGITS.trainer, from_run="other")),
    ]
    assert len({own, *map(run_digest, others)}) == 1 + len(others)
