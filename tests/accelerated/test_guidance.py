"""Guidance through the public door: what is compiled, what is asked, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mindspore import Tensor
from mindspore.graph.api import ms_compile_cache

from ddpm_mindspore.accelerated import GaussianDiffusion, Unet
from ddpm_mindspore.accelerated.guidance import inside
from ddpm_mindspore.reference.levels import NOISE, SIGNAL

NET: dict[str, Any] = {"dim": 4, "dim_mults": (1,), "channels": 1, "attn_heads": 1}
DIFFUSION: dict[str, Any] = {"image_size": 2, "timesteps": 6, "objective": "pred_v", "seed": 3}
LABELS = [2, 0, 1]


@pytest.fixture(scope="module")
def diffusion() -> GaussianDiffusion:
    return GaussianDiffusion(Unet(**NET, num_classes=3), **DIFFUSION)


def test_no_other_scale_is_compiled_anew(diffusion: GaussianDiffusion) -> None:
    diffusion.sample(3, classes=LABELS, cond_scale=2.0)
    graphs = set(ms_compile_cache)
    for scale in (3.5, 0.0):
        diffusion.sample(3, classes=LABELS, cond_scale=scale, guidance_momentum=-scale / 10)
    diffusion.sample(3, classes=LABELS, cond_scale=7.0, guidance_norm=2.0, guidance_rescale=0.5)
    assert set(ms_compile_cache) == graphs


def test_a_scale_of_one_asks_once(diffusion: GaussianDiffusion) -> None:
    one = diffusion.sample(3, classes=LABELS, cond_scale=1.0)
    np.testing.assert_array_equal(one, diffusion.sample(3, classes=LABELS))
    assert np.abs(one - diffusion.sample(3, classes=LABELS, cond_scale=2.0)).max() > 1e-6
    # Where the interval holds no step, nothing is guided.
    never = diffusion.sample(3, classes=LABELS, cond_scale=2.0, guidance_interval=(1e6, 1e7))
    np.testing.assert_array_equal(one, never)


def test_a_scale_of_zero_knows_no_class(diffusion: GaussianDiffusion) -> None:
    some, others = (diffusion.sample(3, classes=c, cond_scale=0.0) for c in (LABELS, [0, 0, 0]))
    np.testing.assert_allclose(some, others, atol=1e-6)


def test_python_of_any_kind_may_classify(diffusion: GaussianDiffusion) -> None:
    """What a graph could not differentiate: it would take it for a constant, and say nothing."""
    asked = []

    class Wants:
        def __call__(self, x_t: Tensor, t: Tensor) -> Tensor:
            asked.append(t)
            return -5.0 * ((x_t + 0.9) ** 2).reshape(x_t.shape[0], -1).sum(1)

    near = diffusion.sample(3, classes=1, classifier=Wants())
    far = diffusion.sample(3, classes=1)
    assert near.mean() < far.mean() - 0.2
    assert len(asked) == 6
    none = diffusion.sample(3, classes=1, classifier=Wants(), cond_scale=0.0)
    np.testing.assert_allclose(none, far, atol=1e-5)


def test_the_interval_is_of_the_noise_as_a_multiple_of_the_signal() -> None:
    levels = np.zeros((4, 9))
    levels[:, NOISE], levels[:, SIGNAL] = [0.3, 0.6, 0.8, 1.0], [0.9, 0.8, 0.6, 0.0]
    assert inside(levels, (0.5, 1.0)).tolist() == [False, True, False, False]
    assert inside(levels, None).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cond_scale": -1.0}, "cond_scale -1.0 must not be negative"),
        ({"guidance_interval": (1.0, 1.0)}, "must rise from 0 or more"),
        ({"guidance_momentum": 1.0}, "guidance_momentum 1.0 must be above -1 and below 1"),
        ({"weak": {"channels": 2}}, "weak has channels 2, and the network that it guides 1"),
        ({"weak": {"num_classes": 4}}, "weak has num_classes 4, and the network that it guides 3"),
    ],
)
def test_what_cannot_guide_is_refused(
    diffusion: GaussianDiffusion, options: dict[str, Any], message: str
) -> None:
    if "weak" in options:
        options = {"weak": Unet(**{**NET, "num_classes": 3, **options["weak"]}), "cond_scale": 2.0}
    with pytest.raises(ValueError, match=message):
        diffusion.sample(2, classes=0, **options)


def test_guidance_needs_something_to_guide_by() -> None:
    plain = GaussianDiffusion(Unet(**NET), **DIFFUSION)
    with pytest.raises(ValueError, match=r"cond_scale 2\.0 needs a network with classes"):
        plain.sample(2, cond_scale=2.0)
    with pytest.raises(TypeError, match="guidance_scale"):
        plain.sample(2, guidance_scale=2.0)
    dark = GaussianDiffusion(Unet(**NET), **DIFFUSION, zero_terminal_snr=True)
    with pytest.raises(ValueError, match="classifier cannot guide at a step where nothing is left"):
        dark.sample(2, classifier=lambda x_t, t: x_t.sum())
