"""GaussianDiffusion: the loss, sampling and interpolation of a small real network."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from numpy.typing import NDArray

from ddpm_mindspore.accelerated import GaussianDiffusion, Unet
from ddpm_mindspore.accelerated.randomness import Purpose, normal
from ddpm_mindspore.accelerated.samplers import PLANS
from ddpm_mindspore.reference.schedule import spaced_timesteps

SMALL: dict[str, Any] = {"dim": 8, "dim_mults": (1, 2), "attn_heads": 1, "attn_dim_head": 8}
SIZE = (4, 8)
T = 12


def make(net: dict[str, Any] | None = None, **options: Any) -> GaussianDiffusion:
    given = {"image_size": SIZE, "timesteps": T} | options
    return GaussianDiffusion(Unet(**SMALL | (net or {})), **given)


@pytest.fixture(scope="module")
def diffusion() -> GaussianDiffusion:
    """All that needs a compiled graph uses this one; one level compiles twice as fast as two."""
    net = {"channels": 2, "dim_mults": (1,), "seed": 1}
    return make(net, sampling_timesteps=4, seed=5)


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3, 2, *SIZE), np.uint8)


def test_the_constructor_of_the_readme() -> None:
    diffusion = GaussianDiffusion(
        Unet(dim=64, dim_mults=(1, 2, 4, 8)), image_size=128, timesteps=1000, sampling_timesteps=250
    )
    assert diffusion.shape == (3, 128, 128)
    plan = diffusion.plan()
    assert len(plan) == 250 and not plan.coefficients[:, 2].any()  # deterministic
    uniform = diffusion.plan(spacing="uniform")
    assert uniform.timesteps.tolist() == list(spaced_timesteps(1000, 250))


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        (
            {},
            {"objective": "eps"},
            "objective 'eps' is unknown: choose pred_noise, pred_x0,",
        ),
        ({}, {"beta_schedule": "quad"}, "beta_schedule 'quad' is unknown: choose linear, cosine"),
        ({}, {"loss_type": "l3"}, "loss_type 'l3' is unknown: choose l1, l2 or huber"),
        ({}, {"timesteps": 0}, "timesteps 0 must be at least 1"),
        ({}, {"sampling_timesteps": 13}, "sampling_timesteps 13 must be .* timesteps, which is 12"),
        ({}, {"sampling_timesteps": 0}, "sampling_timesteps 0 must be at least 1"),
        ({}, {"ddim_sampling_eta": 1.5}, "eta 1.5 must be from 0 to 1"),
        (
            {},
            {"zero_terminal_snr": True, "objective": "pred_noise"},
            "'pred_noise' cannot be used with zero_terminal_snr .* pred_v, pred_x0 or flow",
        ),
        (
            {},
            {"min_snr_loss_weight": True, "p2_loss_weight_gamma": 0.5},
            "gamma 0.5 and min_snr_loss_weight are two rules for one weight: choose one",
        ),
        ({}, {"image_size": 7}, r"image_size 7 is not divisible by 2 \(2 \*\* \(len\(dim_mults\)"),
        ({}, {"image_size": (4, 5)}, "image_size 5 is not divisible by 2"),
        ({}, {"image_size": (4, 4, 4)}, r"image_size \(4, 4, 4\) must be a whole number or 2"),
        (
            {"learned_variance": True, "out_dim": 3},
            {},
            "returns 3 channels for items of 3: .* 6, so",
        ),
        (
            {"learned_variance": True},
            {"auto_normalize": False},
            "learned_variance .* 8-bit pixels",
        ),
        ({}, {"variance": "learned", "sampler": "ancestral"}, "'learned' needs a network with"),
        ({}, {"vlb_weight": -1.0}, "vlb_weight -1.0 must not be negative"),
        ({"out_dim": 1}, {}, "returns 1 channels for items of 3: .* 3, so leave out_dim"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    net: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(net, **options)


def test_the_loss_is_a_number_that_follows_the_seed_and_the_call(
    diffusion: GaussianDiffusion, images: NDArray[np.uint8]
) -> None:
    diffusion._calls = 0
    first, second = diffusion(images), diffusion(images)
    assert isinstance(first, Tensor) and first.shape == () and first.dtype == ms.float32
    assert 0.1 < float(first.asnumpy()) < 10
    assert float(first.asnumpy()) != float(second.asnumpy())  # other t, other noise
    diffusion._calls = 0
    assert float(diffusion(images).asnumpy()) == float(first.asnumpy())


def test_bytes_floats_and_tensors_are_the_same_images(
    diffusion: GaussianDiffusion, images: NDArray[np.uint8]
) -> None:
    losses = []
    for form in (images, images / 255, (images / 255).astype(np.float32), Tensor(images)):
        diffusion._calls = 3
        losses.append(float(diffusion(form).asnumpy()))
    assert losses == pytest.approx([losses[0]] * 4, rel=1e-6)


def test_the_loss_can_be_differentiated(
    diffusion: GaussianDiffusion, images: NDArray[np.uint8]
) -> None:
    """Against the change of the loss along the gradient itself."""
    diffusion._calls = 7
    parameters = diffusion.model.trainable_params()
    value, grads = ms.value_and_grad(lambda x: diffusion(x), None, parameters)(images)
    arrays = [g.asnumpy() for g in grads]
    assert [g.shape for g in arrays] == [tuple(p.shape) for p in parameters]
    assert all(np.isfinite(g).all() for g in arrays)
    assert sum(bool(g.any()) for g in arrays) == len(arrays)

    before = diffusion.model.arrays()
    norm = float(np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in arrays)))
    step = 0.01 / norm
    losses = []
    for sign in (-1, 1):
        moved = {
            p.name: before[p.name] + np.float32(sign * step) * g
            for p, g in zip(parameters, arrays, strict=True)
        }
        diffusion.model.load_arrays(before | moved)
        diffusion._calls = 7
        losses.append(float(diffusion(images).asnumpy()))
    diffusion.model.load_arrays(before)
    assert losses[0] < float(value.asnumpy()) < losses[1]
    assert (losses[1] - losses[0]) / (2 * step) == pytest.approx(norm**2, rel=0.02)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (np.zeros((2, 3, *SIZE)), r"images of shape \(2, 3, 4, 8\) must be \(B, 2, 4, 8\)"),
        (np.zeros((2, 4, 8)), r"images of shape \(2, 4, 8\) must be"),
        (np.zeros((0, 2, *SIZE)), r"images of shape \(0, 2, 4, 8\) must be"),
        (np.full((1, 2, *SIZE), 255), "range from 255 to 255: scale them to .*, or give uint8"),
        (np.full((1, 2, *SIZE), -0.1), "range from -0.1 to -0.1"),
        (np.full((1, 2, *SIZE), np.float32(1.0000001)), r"range from 1\.0000001 to 1\.0000001: "),
        (np.full((1, 2, *SIZE), np.nan), "range from nan to nan"),
    ],
)
def test_what_are_no_images_is_refused(
    diffusion: GaussianDiffusion, wrong: NDArray[Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        diffusion(wrong)
    with pytest.raises(ValueError, match=message.replace("images", "x2")):
        diffusion.interpolate(np.zeros((1, 2, *SIZE)), wrong)


@pytest.mark.parametrize(
    "options", [{}, {"sampler": "ancestral"}, {"sampling_timesteps": 3, "eta": 0.7}], ids=str
)
def test_samples_are_a_function_of_seed_and_number(
    diffusion: GaussianDiffusion, options: dict[str, Any]
) -> None:
    drawn = diffusion.sample(3, num_samples=7, seed=2, **options)
    assert drawn.shape == (7, 2, *SIZE) and drawn.dtype == np.float32
    assert drawn.min() >= 0 and drawn.max() <= 1 and drawn.std() > 0.05
    assert len(np.unique(drawn, axis=0)) == 7
    np.testing.assert_array_equal(diffusion.sample(3, num_samples=7, seed=2, **options), drawn)
    np.testing.assert_array_equal(diffusion.sample(3, num_samples=4, seed=2, **options), drawn[:4])
    other = diffusion.sample(3, seed=3, **options)
    assert not np.isclose(other, drawn[:3], atol=1e-3).all(axis=(1, 2, 3)).any()


def test_the_batch_size_changes_samples_by_no_more_than_rounding(
    diffusion: GaussianDiffusion,
) -> None:
    """The noise is the same to the bit. A convolution may add up in another order."""
    by_three = diffusion.sample(3, num_samples=5, seed=2)
    by_five = diffusion.sample(5, seed=2)
    np.testing.assert_allclose(by_five, by_three, rtol=0, atol=5e-6)


def test_states_are_told_as_they_come(diffusion: GaussianDiffusion) -> None:
    told: list[NDArray[np.float32]] = []
    drawn = diffusion.sample(3, on_state=told.append)
    whole = diffusion.sample(3, return_all_timesteps=True)
    np.testing.assert_array_equal(drawn, whole[:, -1])
    np.testing.assert_allclose(np.stack(told[:-1], 1) / 2 + 0.5, whole[:, 1:-1], atol=1e-6)


def test_the_defaults_are_those_of_the_constructor(diffusion: GaussianDiffusion) -> None:
    steps: list[int] = []
    drawn = diffusion.sample(3, on_step=lambda: steps.append(1))
    assert len(steps) == 4
    explicit = diffusion.sample(3, sampler="unipc", sampling_timesteps=4, seed=5)
    np.testing.assert_array_equal(drawn, explicit)
    noisy = diffusion.sample(3, eta=1.0)
    assert not np.allclose(noisy, drawn, atol=1e-2)
    ancestral, ddim = (diffusion.plan(sampler=name) for name in ("ancestral", "ddim"))
    assert ancestral.coefficients[0, 2] > 0 and not ddim.coefficients[:, 2].any()


def test_nothing_said_is_at_most_twenty_evaluations() -> None:
    assert len(make().plan()) == T and len(make(timesteps=1000).plan()) == 20
    assert len(make(timesteps=1000, sampler="ancestral").plan()) == 1000


def test_one_graph_draws_with_all_samplers(diffusion: GaussianDiffusion) -> None:
    """As many evaluations as the plan says; all lead to pictures that are alike."""
    drawn = {}
    for name in PLANS:
        asked: list[int] = []
        options = {"sampler": name, "sampling_timesteps": T, "spacing": "log_snr"}
        drawn[name] = diffusion.sample(
            3, seed=3, on_step=lambda asked=asked: asked.append(1), **options
        )
        assert len(asked) == len(diffusion.plan(**options)) <= 2 * T
    exact = drawn["unipc"]
    for name in ("ddim", "euler", "heun", "plms", "dpm++2s", "dpm++2m", "dpm++3m", "deis"):
        assert np.abs(drawn[name] - exact).mean() < 0.15, name
    np.testing.assert_allclose(drawn["ddim"], drawn["euler"], atol=1e-5)


def test_a_threshold_can_be_asked_for_in_one_call(diffusion: GaussianDiffusion) -> None:
    usual = diffusion.sample(3)
    squeezed = diffusion.sample(3, dynamic_threshold=1.0)
    assert not np.allclose(squeezed, usual, atol=1e-3)
    np.testing.assert_array_equal(diffusion.sample(3), usual)


@pytest.mark.parametrize("options", [{}, {"sampler": "ancestral"}, {"sampler": "heun"}], ids=str)
def test_the_states_on_the_way_lead_from_noise_to_the_pictures(
    diffusion: GaussianDiffusion, options: dict[str, Any]
) -> None:
    given = {"num_samples": 4, "seed": 2, **options}
    states = diffusion.sample(3, return_all_timesteps=True, **given)
    steps = len(diffusion.plan(**options))
    assert states.shape == (4, 1 + steps, 2, *SIZE) and states.dtype == np.float32
    np.testing.assert_array_equal(states[:, -1], diffusion.sample(3, **given))
    x_T = normal(2, Purpose.SAMPLE_START, 0, range(4), (2, *SIZE))
    np.testing.assert_allclose(2 * states[:, 0] - 1, x_T, atol=1e-6)  # not cut to [0, 1]
    moves = np.abs(np.diff(states, axis=1)).max(axis=(2, 3, 4))
    assert (moves > 1e-4).all()
    np.testing.assert_array_equal(diffusion.sample(3, True, **given), states)  # as the peer has it


def test_another_size_is_drawn_with_noise_of_its_own(diffusion: GaussianDiffusion) -> None:
    drawn = diffusion.sample(2, num_samples=3, seed=2, eta=0.5, image_size=(6, 4))
    assert drawn.shape == (3, 2, 6, 4) and diffusion.image_size == SIZE
    larger = GaussianDiffusion(
        diffusion.model, image_size=(6, 4), timesteps=T, sampling_timesteps=4, seed=5
    )
    np.testing.assert_array_equal(larger.sample(2, num_samples=3, seed=2, eta=0.5), drawn)
    usual = diffusion.sample(2, seed=2)
    assert usual.shape == (2, 2, *SIZE)  # and the graph of the usual size is still the right one
    np.testing.assert_array_equal(diffusion.sample(2, seed=2, image_size=SIZE), usual)


def test_a_size_that_the_network_cannot_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="image_size 6 is not divisible by 4"):
        make({"dim_mults": (1, 1, 1)}, image_size=8).sample(1, image_size=(8, 6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size 0 must be at least 1"),
        ({"num_samples": 0}, "num_samples 0 must be at least 1"),
        ({"sampling_timesteps": 13}, "sampling_timesteps 13 must be from 1 to timesteps"),
        ({"eta": -0.5}, "eta -0.5 must be from 0 to 1"),
        ({"sampler": "heun", "eta": 0.5}, "eta 0.5 is no option of sampler 'heun': ddim has it"),
        ({"sampler": "dpm"}, "sampler 'dpm' is unknown: choose ancestral, ddim"),
        ({"spacing": "even"}, "spacing 'even' is unknown: choose uniform"),
        ({"spacing": (12, 7, 7)}, "spacing 12,7,7 must descend, to at least 1"),
        ({"sampler": "unipc", "order": 1}, "order 1 of sampler 'unipc' is unknown"),
        ({"dynamic_threshold": 1.5}, "dynamic_threshold 1.5 must be above 0 and at most 1"),
        ({"seed": -1}, "seed -1 is outside"),
    ],
)
def test_wrong_sampling_options_are_refused(
    diffusion: GaussianDiffusion, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        diffusion.sample(**options)


def test_interpolation_goes_from_one_image_to_the_other(diffusion: GaussianDiffusion) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.uniform(size=(2, 3, 2, *SIZE)).astype(np.float32)
    middle = diffusion.interpolate(first, second, seed=4)
    assert middle.shape == first.shape and middle.min() >= 0 and middle.max() <= 1
    np.testing.assert_array_equal(diffusion.interpolate(first, second, T, 0.5, seed=4), middle)
    only_first = diffusion.interpolate(first, second, T // 2, lam=0.0, seed=4)
    only_second = diffusion.interpolate(second, first, T // 2, lam=1.0, seed=4)
    np.testing.assert_array_equal(only_first, only_second)
    assert not np.allclose(only_first, diffusion.interpolate(second, first, T // 2, 0.0, seed=4))


def test_interpolation_noises_the_mixture_to_t(
    diffusion: GaussianDiffusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = np.full((3, 2, *SIZE), 0.75, np.float32)
    second = np.full((3, 2, *SIZE), 0.25, np.float32)
    runs = []

    def record(
        step: Any, plan: Any, x: NDArray[np.float32], *_: Any, **__: Any
    ) -> NDArray[np.float32]:
        runs.append((plan, x))
        return x

    monkeypatch.setattr(diffusion, "_run", record)
    diffusion.interpolate(first, second, t=3, lam=0.75, seed=4)
    ((plan, x_t),) = runs
    assert plan.timesteps.tolist() == [3, 2, 1]
    schedule = diffusion.schedule
    a, b = schedule.sqrt_alpha_bar[3], schedule.sqrt_one_minus_alpha_bar[3]
    noise = (x_t - a * (0.25 * 0.5 + 0.75 * -0.5)) / b
    assert x_t.dtype == np.float32
    assert abs(noise.mean()) < 0.25 and 0.85 < noise.std() < 1.15
