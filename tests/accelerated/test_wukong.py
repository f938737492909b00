"""Checkpoints in the layout of the published Chinese weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from mindspore.train import serialization

from ddpm_mindspore.accelerated.weights.checkpoint_file import CheckpointFile
from ddpm_mindspore.accelerated.weights.wukong import UNUSED, Sizes, load_wukong
from ddpm_mindspore.reference.config import (
    AutoencoderConfig,
    LatentUnetConfig,
    TransformerConfig,
    wukong,
)
from ddpm_mindspore.reference.networks import autoencoder, latent_unet, transformer

SIZES = Sizes(
    LatentUnetConfig(dim=4, dim_mults=(1,), blocks=1, heads=2, context_dim=6, groups=2),
    AutoencoderConfig(dim=4, dim_mults=(1, 2), groups=2),
    TransformerConfig(vocabulary=9, length=5, width=6, layers=1, heads=2),
)
Arrays = dict[str, np.ndarray]


def published(extra_channels: int = 0) -> Arrays:
    """Tensors of these sizes under their published names."""
    rng = np.random.default_rng(0)
    unet = LatentUnetConfig(**{**SIZES.unet.to_dict(), "extra_channels": extra_channels})
    shapes = {
        "unet": latent_unet.param_shapes(unet),
        "autoencoder": autoencoder.param_shapes(SIZES.autoencoder),
        "text_encoder": transformer.param_shapes(SIZES.text_encoder),
    }
    return {
        wukong.PREFIXES[part] + name: rng.standard_normal(shape).astype(np.float32)
        for part, named in shapes.items()
        for name, shape in named.items()
    }


def saved(path: Path, tensors: Arrays, **options: Any) -> Path:
    content = [{"name": name, "data": Tensor(array)} for name, array in tensors.items()]
    ms.save_checkpoint(content, str(path), **options)
    return path


@pytest.mark.parametrize("extra_channels", [0, 5])
def test_a_checkpoint_becomes_three_networks(tmp_path: Path, extra_channels: int) -> None:
    tensors = published(extra_channels)
    never_used = {name: np.zeros((3, 3), np.float32) for name in UNUSED}
    more = {**tensors, **never_used, "global_step": np.array(7, np.int32)}
    networks = load_wukong(saved(tmp_path / "w.ckpt", more), SIZES)
    assert networks.unet.config.in_channels == 4 + extra_channels
    assert networks.unused == ("global_step",)
    read = {
        wukong.PREFIXES[part] + name: array
        for part in wukong.PREFIXES
        for name, array in getattr(networks, part).arrays().items()
    }
    assert read.keys() == tensors.keys()
    for name, array in tensors.items():
        np.testing.assert_array_equal(read[name], array)


def test_half_precision_is_widened(tmp_path: Path) -> None:
    tensors = {name: array.astype(np.float16) for name, array in published().items()}
    networks = load_wukong(saved(tmp_path / "w.ckpt", tensors), SIZES)
    name = "positional_embedding"
    read = networks.text_encoder.arrays()[name]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, tensors[wukong.PREFIXES["text_encoder"] + name])


@pytest.mark.parametrize("options", [{}, {"crc_check": True}])
def test_tensors_come_as_mindspore_has_written_them(tmp_path: Path, options: Any) -> None:
    rng = np.random.default_rng(0)
    tensors = {
        "large": rng.standard_normal((700, 5)).astype(np.float32),
        "scalar": np.array(2.5, np.float32),
        "counts": np.arange(6, dtype=np.int64).reshape(2, 3),
        "名": np.ones(3, np.float16),
    }
    with mock.patch.object(serialization, "SLICE_SIZE", 4):  # KiB: pieces of the large one
        path = saved(tmp_path / "a.ckpt", tensors, **options)
    file = CheckpointFile(path)
    assert file.entries.keys() == tensors.keys()
    assert len(file.entries["large"].pieces) == 4
    for name, array in tensors.items():
        found = file.array(name)
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)
    by_mindspore = ms.load_checkpoint(str(path))
    assert by_mindspore.keys() == file.entries.keys()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"is not a file: name a \.ckpt file"):
        CheckpointFile(tmp_path / "none.ckpt")
    path = saved(tmp_path / "whole.ckpt", {"a": np.ones(50, np.float32)})
    content = path.read_bytes()
    for name, damaged, reason in (
        ("empty", b"", "it is empty"),
        ("cut", content[:-10], "it ends too soon"),
        ("cut-early", content[:1], "it ends too soon"),
        ("text", b"hello, world", "begins no field"),
        ("zip", b"PK\x03\x04" + content, "begins no field"),
        ("other", b"\x12\x01a", "field 2 at byte 0 is unknown"),
    ):
        other = tmp_path / f"{name}.ckpt"
        other.write_bytes(damaged)
        with pytest.raises(ValueError, match=reason):
            CheckpointFile(other)


def test_weights_of_other_sizes_are_refused(tmp_path: Path) -> None:
    tensors = published()
    name = "cond_stage_model.transformer.ln_final.gamma"
    path = saved(tmp_path / "w.ckpt", {**tensors, name: np.ones(7, np.float32)})
    with pytest.raises(ValueError, match=r"ln_final.gamma' of .* has shape \(7,\), .* \(6,\)"):
        load_wukong(path, SIZES)
    del tensors[name]
    path = saved(tmp_path / "v.ckpt", tensors)
    with pytest.raises(ValueError, match=r"has no tensor 'cond_stage_model.*ln_final.gamma'"):
        load_wukong(path, SIZES)
    path = saved(tmp_path / "u.ckpt", {"a": np.ones(7, np.float32)})
    with pytest.raises(ValueError, match=r"1 tensors, 7 values, the first of them 'a'"):
        load_wukong(path, SIZES)
