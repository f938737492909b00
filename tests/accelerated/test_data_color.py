"""Colours of embedded profiles, against the formulas that the profiles are made of."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from ddpm_mindspore.accelerated.data import open_images
from ddpm_mindspore.accelerated.data.decode import decode

# XYZ of red, green and blue, seen in the light D50 that profiles are made for.
DISPLAY_P3 = [
    [0.51512, 0.24120, -0.00105],
    [0.29198, 0.69225, 0.04189],
    [0.15710, 0.06657, 0.78407],
]
ADOBE_RGB = [[0.60974, 0.31111, 0.01947], [0.20528, 0.62567, 0.06087], [0.14919, 0.06322, 0.74457]]
SRGB = [[0.43607, 0.22249, 0.01392], [0.38515, 0.71687, 0.09708], [0.14307, 0.06061, 0.71410]]
COLOURS = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(65536 * value) for value in values))


def profile(space: bytes, tags: dict[bytes, bytes], pcs: bytes = b"XYZ ") -> bytes:
    """An ICC profile, version 2 (ICC.1:2001-04)."""
    start, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, body in tags.items():
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    header = struct.pack(
        ">I4sI4s4s4s12x4s28x", start + len(data), b"", 0x02100000, kind, space, pcs, b"acsp"
    )
    header += fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def curve(gamma: float) -> bytes:
    return b"curv" + struct.pack(">IIH", 0, 1, round(256 * gamma))


def rgb_profile(primaries: list[list[float]], gamma: float = 2.2) -> bytes:
    xyz = {
        n: b"XYZ \0\0\0\0" + fixed(*p)
        for n, p in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    }
    return profile(b"RGB ", xyz | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(gamma)))


def to_srgb(pixels: NDArray[Any], primaries: list[list[float]], gamma: float = 2.2) -> NDArray[Any]:
    """What the levels are in sRGB (IEC 61966-2-1), from 0 to 255."""
    xyz = (pixels / 255.0) ** (round(256 * gamma) / 256) @ np.array(primaries)
    return encode((xyz @ np.linalg.inv(np.array(SRGB))).clip(0, 1))


def encode(linear: NDArray[Any]) -> NDArray[Any]:
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def save(path: Path, pixels: NDArray[Any] | Image.Image, icc: bytes) -> Path:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, icc_profile=icc)
    return path


def chw(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels.transpose(2, 0, 1)


@pytest.mark.parametrize("primaries", [DISPLAY_P3, ADOBE_RGB])
@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_wide_colours_become_those_of_srgb(
    tmp_path: Path, primaries: list[list[float]], ending: str
) -> None:
    image = Image.fromarray(COLOURS)
    image.save(tmp_path / f"a.{ending}", icc_profile=rgb_profile(primaries), lossless=True)
    read = decode(tmp_path / f"a.{ending}", (16, 16), 3).astype(float)
    truth = chw(to_srgb(COLOURS, primaries))
    assert abs(read - truth).max() <= 2
    assert abs(truth - chw(COLOURS)).max() > 20  # it is not the same without


def test_a_photograph_in_a_jpeg(tmp_path: Path) -> None:
    smooth = np.dstack([RAMP, RAMP.T, 255 - RAMP]).repeat(8, 0).repeat(8, 1)
    icc = rgb_profile(DISPLAY_P3)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=100, subsampling=0, icc_profile=icc)
    plain = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert (
        abs(decode(tmp_path / "a.jpg", (128, 128), 3) - chw(to_srgb(plain, DISPLAY_P3))).max() <= 2
    )


def test_grey_with_a_profile(tmp_path: Path) -> None:
    linear = profile(b"GRAY", {b"kTRC": curve(1.0)})
    truth = encode(RAMP / 255)
    path = save(tmp_path / "a.png", RAMP, linear)
    assert abs(decode(path, (16, 16), 1)[0] - truth).max() <= 1
    assert abs(decode(path, (16, 16), 3) - truth).max() <= 1
    deep = save(tmp_path / "b.png", RAMP.astype(np.uint16) * 257, linear)
    assert abs(decode(deep, (16, 16), 1)[0] - truth).max() <= 1
    both = Image.merge("LA", [Image.fromarray(RAMP), Image.fromarray(RAMP.T.copy())])
    grey, alpha = decode(save(tmp_path / "c.png", both, linear), (16, 16), 2)
    assert abs(grey - truth).max() <= 1 and np.array_equal(alpha, RAMP.T)


def test_ink_is_what_its_profile_says(tmp_path: Path) -> None:
    """A printer whose cyan is a grey of half the lightness: magenta and yellow do nothing."""
    light = np.zeros((2, 2, 2, 2), int)
    light[0, ..., 0], light[1, ..., 0] = 255, 128  # without black, which is black
    lab = np.stack([light, np.full_like(light, 128), np.full_like(light, 128)], axis=-1)
    line = bytes(range(256))
    table = b"mft1" + struct.pack(">IBBBx", 0, 4, 3, 2) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    table += 4 * line + lab.astype(np.uint8).tobytes() + 3 * line
    icc = profile(b"CMYK", {b"A2B0": table}, pcs=b"Lab ")
    inks = Image.new("CMYK", (4, 4), (255, 0, 0, 0))
    read = decode(save(tmp_path / "a.tif", inks, icc), (4, 4), 3)
    assert abs(read.astype(int) - 120).max() <= 2  # L* = 50.2 in sRGB
    assert decode(save(tmp_path / "b.tif", Image.new("CMYK", (4, 4)), icc), (4, 4), 3).min() >= 254


def test_transparency_and_palettes_keep_their_alpha(tmp_path: Path) -> None:
    icc, truth = rgb_profile(ADOBE_RGB), chw(to_srgb(COLOURS, ADOBE_RGB))
    rgba = np.dstack([COLOURS, RAMP])
    *colours, alpha = decode(save(tmp_path / "a.png", rgba, icc), (16, 16), 4)
    assert abs(np.array(colours) - truth).max() <= 2 and np.array_equal(alpha, RAMP)
    palette = Image.fromarray(COLOURS[:4, :4]).quantize(16)
    levels = np.asarray(palette.convert("RGB"))
    palette.save(tmp_path / "b.png", icc_profile=icc, transparency=int(np.asarray(palette)[0, 0]))
    expected = to_srgb(levels, ADOBE_RGB)
    expected[np.asarray(palette) == np.asarray(palette)[0, 0]] = 255  # over white
    assert abs(decode(tmp_path / "b.png", (4, 4), 3) - chw(expected)).max() <= 2


BROKEN = {
    "garbage": b"no profile at all",
    "cut": rgb_profile(DISPLAY_P3)[:200],
    "empty": profile(b"RGB ", {}),
    "of grey": profile(b"GRAY", {b"kTRC": curve(1.0)}),
    "of a printer": profile(b"CMYK", {b"A2B0": b"mft1"}, pcs=b"Lab "),
    "of Lab": profile(b"Lab ", {}),
}


@pytest.mark.parametrize("icc", BROKEN.values(), ids=BROKEN.keys())
def test_a_profile_that_cannot_be_used_changes_nothing(tmp_path: Path, icc: bytes) -> None:
    assert np.array_equal(decode(save(tmp_path / "a.png", COLOURS, icc), (16, 16), 3), chw(COLOURS))


def test_srgb_itself_keeps_every_level(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(
        decode(save(tmp_path / "a.png", COLOURS, srgb), (16, 16), 3), chw(COLOURS)
    )
    grey = save(tmp_path / "b.png", RAMP, rgb_profile(ADOBE_RGB))  # of colours, in a grey image
    assert np.array_equal(decode(grey, (16, 16), 1)[0], RAMP)


def test_many_files_are_converted_at_once(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 64, 64, 3), dtype=np.uint8)
    for number, (image, icc) in enumerate(zip(pixels, [DISPLAY_P3, ADOBE_RGB] * 20, strict=True)):
        save(tmp_path / f"{number:02}.png", image, rgb_profile(icc))
    images = open_images(tmp_path, (64, 64), 3).batch(np.arange(40))
    for number, icc in enumerate([DISPLAY_P3, ADOBE_RGB] * 20):
        assert abs(images[number] - chw(to_srgb(pixels[number], icc))).max() <= 2
