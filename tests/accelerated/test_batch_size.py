"""How many images the sample command draws at a time."""

from __future__ import annotations

import math

import pytest

from ddpm_mindspore.accelerated import GaussianDiffusion, Unet
from ddpm_mindspore.accelerated.commands.batches import even_batch_size, usual_batch_size


@pytest.mark.parametrize(("image_size", "dim", "size"), [(8, 16, 512), (8, 8, 1024), (64, 8, 64)])
def test_small_images_are_drawn_in_large_batches(image_size: int, dim: int, size: int) -> None:
    network = Unet(dim, dim_mults=(1,), channels=1, attn_heads=1, attn_dim_head=8)
    assert usual_batch_size(GaussianDiffusion(network, image_size=image_size)) == size


def test_batches_are_few_and_even() -> None:
    assert [even_batch_size(count, 64) for count in (1, 63, 64, 65, 129, 1797)] == [
        *(1, 63, 64, 33, 43, 62)
    ]
    for count in range(1, 200):
        for limit in range(1, 40):
            size = even_batch_size(count, limit)
            batches = math.ceil(count / limit)
            assert size <= limit and math.ceil(count / size) == batches
            assert batches * size - count < batches  # what is drawn in vain
