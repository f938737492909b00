"""The bound on tensors where it is extreme; ``parity/test_bound.py`` compares the rest."""

from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from scipy import special

from ddpm_mindspore.accelerated import GaussianDiffusion, Unet
from ddpm_mindspore.accelerated.bound import bound_loss, halves, joined, log_ndtr
from ddpm_mindspore.accelerated.process import on_device
from ddpm_mindspore.reference.config.diffusion import ObjectiveConfig
from ddpm_mindspore.reference.levels import Levels
from ddpm_mindspore.reference.schedule import make_schedule

SHAPE = (3, 2, 2, 2)
LEVELS = on_device(Levels(make_schedule("linear", 1000), ObjectiveConfig())(np.array([1, 2, 999])))


def test_a_prediction_and_its_variance_come_apart_and_together() -> None:
    x = Tensor(np.zeros(SHAPE, np.float32))
    prediction, raw = halves(x, x)
    assert raw is None and prediction is x and joined(x, None) is x
    output = np.arange(3 * 4 * 4, dtype=np.float32).reshape(3, 4, 2, 2)
    prediction, raw = halves(Tensor(output), x)
    assert raw is not None and np.array_equal(raw.asnumpy(), output[:, 2:])
    assert np.array_equal(joined(prediction, raw).asnumpy(), output)


def test_the_logarithm_of_the_distribution_keeps_its_digits_in_the_tail() -> None:
    """Within a few roundings, from where nothing is left of the probability itself."""
    x = np.concatenate([-np.logspace(0, 4, 500), np.linspace(-1, 0, 100)]).astype(np.float32)
    expected = special.log_ndtr(x.astype(np.float64))
    np.testing.assert_allclose(log_ndtr(Tensor(x)).asnumpy(), expected, rtol=1e-6)
    right = np.linspace(0, 8, 200).astype(np.float32)
    found = log_ndtr(Tensor(right)).asnumpy()
    np.testing.assert_allclose(found, special.log_ndtr(right.astype(np.float64)), atol=4e-6)


@pytest.mark.parametrize("raw", [-60.0, 0.0, 60.0])
@pytest.mark.parametrize("error", [0.0, 0.5, 50.0])
def test_whatever_a_network_says_the_variance_has_a_slope(raw: float, error: float) -> None:
    """At each t one of two kinds of terms counts: the other may be anything, but no NaN."""
    x_0 = np.broadcast_to(np.float32([[-1, 1], [0.2, -0.2]]), SHAPE)
    arrays = x_0, x_0 + np.float32(error), np.full(SHAPE, raw, np.float32)
    loss = ms.value_and_grad(bound_loss, (1, 2))
    value, (of_estimate, of_raw) = loss(*map(Tensor, arrays), LEVELS)
    assert np.isfinite(value.asnumpy()) and np.isfinite(of_raw.asnumpy()).all()
    assert (of_estimate.asnumpy() == 0.0).all()


def test_only_the_ancestral_sampler_reads_what_was_learned() -> None:
    options = {"dim": 4, "dim_mults": (1,), "channels": 1, "attn_heads": 1, "attn_dim_head": 4}
    net = Unet(**options, learned_variance=True)
    diffusion = GaussianDiffusion(net, image_size=2, timesteps=5, clip_denoised=False)

    def drawn(factor: float, **how: str) -> np.ndarray:  # type: ignore[type-arg]
        arrays = net.arrays()
        weight = arrays["final_conv.weight"].copy()
        weight[1:] *= factor
        net.load_arrays({**arrays, "final_conv.weight": weight})
        images: np.ndarray = diffusion.sample(2, **how)  # type: ignore[type-arg]
        net.load_arrays(arrays)
        return images

    for how in ({"sampler": "dpm++2m"}, {"sampler": "ancestral"}):
        assert np.array_equal(drawn(1.0, **how), drawn(-3.0, **how))
    learned = {"sampler": "ancestral", "variance": "learned"}
    assert not np.array_equal(drawn(1.0, **learned), drawn(-3.0, **learned))
    plain = GaussianDiffusion(Unet(**options), image_size=2, timesteps=5)
    with pytest.raises(ValueError, match="'learned' needs a network with learned_variance"):
        plain.sample(2, **learned)
