"""The student's program: it trains, draws, and its pictures can be looked at."""

from __future__ import annotations

import numpy as np
import pytest

from ddpm_mindspore.reference import train_digits
from ddpm_mindspore.reference.networks.unet import UnetConfig, init, unet
from ddpm_mindspore.reference.schedule import make_schedule
from ddpm_mindspore.reference.train_digits import (
    denoiser,
    draw,
    grid,
    load_digits,
    show,
    train,
    write_pgm,
)
from ddpm_mindspore.reference.training import TrainingConfig

NET = UnetConfig(dim=4, dim_mults=(1, 2), channels=1, attn_heads=1, attn_dim_head=4)
SCHEDULE = make_schedule("cosine", 20)
TINY = {"network": NET, "schedule": SCHEDULE}


def test_the_digits_are_read_without_the_other_half():
    images = load_digits()
    assert images.shape == (1797, 1, 8, 8)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert len(np.unique(images)) == 17


def test_training_repeats_with_its_seed_and_reports_every_step():
    seen = []
    images = load_digits()[:50]
    first = train(images, 3, batch_size=4, report=lambda *a: seen.append(a), **TINY)
    again = train(images, 3, batch_size=4, **TINY)
    other = train(images, 3, batch_size=4, seed=1, **TINY)
    assert first.step == 3
    assert [step for step, _ in seen] == [1, 2, 3]
    assert all(0.0 < loss < 10.0 for _, loss in seen)
    weight = "downs.0.0.block1.proj.weight"
    assert first.params[weight].dtype == np.float32
    assert np.array_equal(first.params[weight], again.params[weight])
    assert not np.array_equal(first.params[weight], other.params[weight])


def test_drawings_repeat_and_are_pictures():
    params = init(NET, np.random.default_rng(0))
    images = draw(params, 3, np.random.default_rng(1), sampling_timesteps=4, **TINY)
    assert images.shape == (3, 1, 8, 8)
    assert 0.0 <= images.min() < images.max() <= 1.0
    again = draw(params, 3, np.random.default_rng(1), sampling_timesteps=4, **TINY)
    assert np.array_equal(images, again)


def test_the_denoiser_remembers_its_clipped_answer_for_self_conditioning():
    net = UnetConfig(dim=4, dim_mults=(1,), channels=1, self_condition=True)
    params = {k: 2.0 * p for k, p in init(net, np.random.default_rng(0)).items()}
    x = 3.0 * np.random.default_rng(1).standard_normal((2, 1, 4, 4))
    t = np.array([20, 20])
    predict_x0 = denoiser(params, net, SCHEDULE, TrainingConfig(objective="pred_x0"))
    first = predict_x0(x, t)
    plain = unet(params, net, x, t - 1)
    assert np.abs(plain).max() > 1.0
    np.testing.assert_array_equal(first, np.clip(plain, -1.0, 1.0))
    second = predict_x0(x, t - 1)
    expected = np.clip(unet(params, net, x, t - 2, first), -1.0, 1.0)
    np.testing.assert_array_equal(second, expected)
    unclipped = denoiser(params, net, SCHEDULE, TrainingConfig(objective="pred_x0"), clip=False)
    np.testing.assert_array_equal(unclipped(x, t), plain)


def test_pictures_lie_row_by_row_with_a_gap():
    images = np.arange(4).reshape(4, 1, 1, 1) / 3.0 * np.ones((1, 1, 2, 2))
    picture = grid(images, columns=2)
    assert picture.shape == (8, 8)
    assert picture.dtype == np.uint8
    assert picture[1:3, 5:7].tolist() == [[85, 85], [85, 85]]
    assert picture[5, 1] == 170
    assert picture[0].max() == 0
    assert show(picture[4:6]) == "        \n".replace("        ", " " * 16) + "  ▓▓▓▓    ████  "


def test_pgm_is_a_header_and_the_bytes(tmp_path):
    path = tmp_path / "p.pgm"
    write_pgm(path, np.array([[0, 255, 7]], np.uint8), scale=2)
    assert path.read_bytes() == b"P5 6 2 255\n" + 2 * bytes([0, 0, 255, 255, 7, 7])


@pytest.mark.parametrize("images", [np.full((9, 1, 8, 8), 2.0), np.zeros((9, 1, 8, 8), np.uint8)])
def test_images_must_be_floats_from_0_to_1(images):
    with pytest.raises(ValueError, match=r"give floats in \[0, 1\]"):
        train(images, 1)


def test_the_program_ends_with_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train_digits.main(steps=1)
    assert (tmp_path / "digits.pgm").read_bytes().startswith(b"P5 640 400 255\n")
    assert "digits.pgm: 40 drawings" in capsys.readouterr().out


@pytest.mark.nightly
def test_a_real_run_learns():
    losses = []
    config = TrainingConfig(lr=2e-3, ema_update_every=1)
    train(load_digits(), 300, config=config, report=lambda _, loss: losses.append(loss))
    assert np.mean(losses[-50:]) < 0.4
    assert losses[0] > 0.9
