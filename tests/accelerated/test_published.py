"""A checkpoint in the published layout becomes a run that is painted with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

from ddpm_mindspore.accelerated.cli import main
from ddpm_mindspore.accelerated.runs.opened import open_run
from ddpm_mindspore.accelerated.tasks.inpainting import Shown
from ddpm_mindspore.accelerated.weights.published import import_published
from ddpm_mindspore.accelerated.weights.wukong import Sizes, load_wukong
from ddpm_mindspore.reference.config import AutoencoderConfig, TextUnetConfig, wukong
from ddpm_mindspore.reference.networks import autoencoder, text_unet
from ddpm_mindspore.reference.schedule import make_schedule
from ddpm_mindspore.reference.tasks.inpainting import shown

NETWORK = TextUnetConfig(
    dim=4,
    dim_mults=(1,),
    blocks=1,
    attention=False,
    heads=2,
    context_dim=6,
    groups=2,
    vocabulary=21_128,
    length=9,
    text_layers=1,
    text_heads=2,
)
CODER = AutoencoderConfig(dim=4, dim_mults=(1, 2), groups=2)


def tensors(extra_channels: int = 0) -> list[dict[str, Any]]:
    """All tensors of a checkpoint, as names and arrays."""
    rng = np.random.default_rng(0)
    network = TextUnetConfig(**{**NETWORK.to_dict(), "extra_channels": extra_channels})
    prefix = wukong.PREFIXES["autoencoder"]
    coder = {prefix + n: shape for n, shape in autoencoder.param_shapes(CODER).items()}
    shapes = text_unet.param_shapes(network) | coder
    return [
        {"name": name, "data": (0.3 * rng.standard_normal(shape)).astype(np.float32)}
        for name, shape in shapes.items()
    ]


def checkpoint(path: Path, extra_channels: int = 0) -> Path:
    named = [{**entry, "data": Tensor(entry["data"])} for entry in tensors(extra_channels)]
    ms.save_checkpoint(named, str(path))
    return path


def test_full_size_is_the_published_one() -> None:
    shapes = text_unet.param_shapes(wukong.PAINTER)
    assert len(shapes) == 686 + 148
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == 859_520_964 + 123_060_480


def test_the_schedule_is_that_of_latent_diffusion() -> None:
    beta = make_schedule("scaled_linear", 1000).beta[1:]
    np.testing.assert_allclose(beta, np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2, rtol=1e-12)


@pytest.mark.slow
def test_what_was_imported_paints(tmp_path: Path) -> None:
    path, folder = checkpoint(tmp_path / "w.ckpt"), tmp_path / "run"
    import_published(path, folder, NETWORK, CODER)
    path.unlink()
    output = tmp_path / "out"
    words = ["城市夜景", "--run", str(folder), "--num-samples", "2", "--seed", "3"]
    assert main(["paint", *words, "--sampling-timesteps", "2", "--output", str(output)]) == 0
    drawn = np.load(output / "samples.npy")
    assert (drawn.shape, drawn.dtype) == ((2, 3, 128, 128), np.uint8)
    run = open_run(folder)
    latents = run.diffusion.sample(1, condition="城市夜景", sampling_timesteps=2, seed=3, first=1)
    assert latents.shape == (1, 4, 64, 64) and np.abs(latents).max() > 1.0
    sizes = Sizes(NETWORK.unet, CODER, NETWORK.text)
    networks = load_wukong(folder / "published.ckpt", sizes)
    decoded = networks.autoencoder.decode(Tensor(latents / np.float32(wukong.SCALE_FACTOR)))
    expected = np.clip((decoded.asnumpy() + 1) / 2, 0, 1)
    np.testing.assert_allclose(drawn[1:] / 255.0, expected, atol=1.01 / 255)


@pytest.mark.slow
def test_what_inpaints_keeps_what_is_known_and_is_shown_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = tmp_path / "run", tmp_path / "out"
    import_published(checkpoint(tmp_path / "w.ckpt", 5), folder, NETWORK, CODER)
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (128, 128, 3), np.uint8)
    known = np.ones((128, 128), np.uint8)
    known[40:90, 20:100] = 0
    Image.fromarray(picture).save(tmp_path / "picture.png")
    Image.fromarray(255 * (1 - known)).save(tmp_path / "mask.png")
    words = ["inpaint", str(folder), str(tmp_path / "picture.png"), "--num-samples", "2"]
    words += ["--mask", str(tmp_path / "mask.png"), "--sampling-timesteps", "2", "--seed", "3"]
    assert main([*words, "--prompt", "城市夜景", "--output", str(output)]) == 0
    drawn = np.load(output / "samples.npy")
    assert (drawn.shape, drawn.dtype) == ((2, 3, 128, 128), np.uint8)
    np.testing.assert_array_equal(
        drawn[:, :, known == 1], [picture.transpose(2, 0, 1)[:, known == 1]] * 2
    )
    # What the network is shown, by the reference.
    arrays = {e["name"]: e["data"].astype(np.float64) for e in tensors(5)}
    prefix = wukong.PREFIXES["autoencoder"]
    coder = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
    grey = (picture.transpose(2, 0, 1) / 127.5 - 1.0) * known
    mean = autoencoder.encode(coder, CODER, grey[None]).mean * wukong.SCALE_FACTOR
    beside = np.concatenate((1.0 - known[None, None, ::2, ::2], mean), axis=1)
    run = open_run(folder)
    config = run.diffusion.model.config
    assert isinstance(config, TextUnetConfig) and config.extra_channels == 5
    assert run.encode is not None
    of_run = shown(known, run.encode(grey[None].astype(np.float32))[0])
    np.testing.assert_allclose(of_run, beside[0], atol=1e-4)
    model = Shown(run.diffusion.model, of_run)
    x, ids = rng.standard_normal((1, 4, 64, 64)), np.array([[101, 671, 102, 0]], np.int32)
    out = model(Tensor(x.astype(np.float32)), Tensor([7.0]), None, None, Tensor(ids)).asnumpy()
    whole = np.concatenate((x, beside), axis=1)
    expected = text_unet.text_unet(arrays, config, whole, np.array([7.0]), condition=ids)
    np.testing.assert_allclose(out, expected, atol=1e-4 * np.abs(expected).max())
    # Another text, another mask, another picture.
    assert main([*words, "--prompt", "一", "--output", str(output)]) == 0
    assert (np.load(output / "samples.npy") != drawn).any()
    for more, told in (
        (["--method", "repaint"], "was trained to inpaint, and to do so by a text"),
        (["--mask", str(tmp_path / "picture.png"), "--fit"], None),
    ):
        assert main([*words, *more, "--output", str(output)]) == (0 if told is None else 2)
        assert told is None or told in capsys.readouterr().err
    assert main(["paint", "一", "--run", str(folder)]) == 2
    assert "paints what a mask hides of a picture" in capsys.readouterr().err
    assert main(["edit", str(folder), str(tmp_path / "picture.png")]) == 2
    assert "draws latents, which this does not" in capsys.readouterr().err


def test_what_cannot_be_imported_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint(tmp_path / "w.ckpt", extra_channels=3)
    with pytest.raises(ValueError, match=r"is shown 3 channels besides: one that inpaints is"):
        import_published(path, tmp_path / "run", NETWORK, CODER)
    assert not (tmp_path / "run").exists()
    checkpoint(path)
    import_published(path, tmp_path / "run", NETWORK, CODER)
    with pytest.raises(ValueError, match="already holds a run"):
        import_published(path, tmp_path / "run", NETWORK, CODER)
    (tmp_path / "other.ckpt").write_bytes(b"no checkpoint")
    folder = str(tmp_path / "other")
    assert main(["import", str(tmp_path / "other.ckpt"), "--results-folder", folder]) == 2
    assert "is no checkpoint of MindSpore's" in capsys.readouterr().err
    (tmp_path / "weights.safetensors").write_bytes(b"")
    assert main(["import", str(tmp_path / "weights.safetensors")]) == 2
    assert "image_size is missing" in capsys.readouterr().err
