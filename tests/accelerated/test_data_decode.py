from __future__ import annotations

import struct
import time
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from ddpm_mindspore.accelerated.data import decode as decoding
from ddpm_mindspore.accelerated.data.decode import decode, decode_value

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
COLOUR = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=-1)


@pytest.fixture
def save(tmp_path):
    def write(image: np.ndarray | Image.Image, name: str, **options: object) -> Path:
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return write


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "tga", "ppm", "webp", "pcx"])
def test_lossless_formats_keep_every_pixel(save, ending):
    options = {"lossless": True} if ending == "webp" else {}
    rgb = decode(save(COLOUR, f"a.{ending}", **options), (16, 16), 3)
    assert rgb.dtype == np.uint8
    assert np.array_equal(rgb, COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "tga", "pgm", "gif", "pcx", "jp2"])
def test_grey_becomes_three_equal_channels(save, ending):
    rgb = decode(save(RAMP, f"a.{ending}"), (16, 16), 3)
    assert np.array_equal(rgb, np.broadcast_to(RAMP, (3, 16, 16)))


def test_grey_stays_and_colour_becomes_luma(save):
    assert np.array_equal(decode(save(RAMP, "a.png"), (16, 16), 1)[0], RAMP)
    grey = decode(save(COLOUR, "b.png"), (16, 16), 1)[0]
    assert abs(grey - COLOUR @ np.array([0.299, 0.587, 0.114])).max() <= 0.51


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_16_bit_grey_is_scaled_not_clipped(save, name):
    path = save(RAMP.astype(np.uint16) * 257, name)
    assert np.array_equal(decode(path, (16, 16), 1)[0], RAMP)
    assert np.array_equal(decode(path, (16, 16), 3)[2], RAMP)


def test_16_bit_big_endian_and_32_bit_integers(save):
    big = Image.frombytes("I;16B", (16, 16), (RAMP.astype(">u2") * 257).tobytes())
    assert np.array_equal(decode(save(big, "big.tif"), (16, 16), 1)[0], RAMP)
    path = save(RAMP.astype(np.int32) * 257, "int.tif")
    assert np.array_equal(decode(path, (16, 16), 1)[0], RAMP)
    with pytest.raises(ValueError, match="values from 0 to 255000 where 0 to 65535"):
        decode(save(RAMP.astype(np.int32) * 1000, "deep.tif"), (16, 16), 1)


def test_16_bit_colour(tmp_path):
    """Written by hand: Pillow reads such files, and cannot write them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    rows = (COLOUR.astype(">u2") * 257).reshape(16, -1)
    header = struct.pack(">IIBBBBB", 16, 16, 16, 2, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    assert np.array_equal(decode(tmp_path / "a.png", (16, 16), 3), COLOUR.transpose(2, 0, 1))


def test_float_tiff(save):
    path = save(RAMP.astype(np.float32) / 255, "a.tif")
    assert np.array_equal(decode(path, (16, 16), 1)[0], RAMP)
    with pytest.raises(ValueError, match=r"values from 0\.0 to 255\.0 where 0 to 1"):
        decode(save(RAMP.astype(np.float32), "b.tif"), (16, 16), 1)


def test_alpha_is_laid_over_white_or_kept(save):
    alpha = np.full((16, 16), 255, np.uint8)
    alpha[:4], alpha[4:8] = 0, 128
    path = save(np.dstack([COLOUR, alpha]), "a.png")
    rgb = decode(path, (16, 16), 3).transpose(1, 2, 0)
    assert rgb[:4].min() == 255
    half = COLOUR[4:8] * (128 / 255) + 255 * (127 / 255)
    assert abs(rgb[4:8] - half).max() <= 1
    assert np.array_equal(rgb[8:], COLOUR[8:])
    kept = decode(path, (16, 16), 4)
    assert np.array_equal(kept, np.dstack([COLOUR, alpha]).transpose(2, 0, 1))
    opaque = decode(save(COLOUR, "b.png"), (16, 16), 4)
    assert opaque[3].min() == 255


def test_grey_with_alpha(save):
    alpha = np.where(RAMP < 128, 0, 255).astype(np.uint8)
    image = Image.merge("LA", [Image.fromarray(RAMP), Image.fromarray(alpha)])
    path = save(image, "a.png")
    assert np.array_equal(decode(path, (16, 16), 1)[0], np.where(RAMP < 128, 255, RAMP))
    assert np.array_equal(decode(path, (16, 16), 2), np.stack([RAMP, alpha]))


def test_hidden_colours_do_not_bleed_when_resized(save):
    """Fully transparent red next to opaque blue: no pixel may turn reddish."""
    image = np.zeros((64, 64, 4), np.uint8)
    image[:, :31] = (255, 0, 0, 0)
    image[:, 31:] = (0, 0, 255, 255)
    path = save(image, "a.png")
    kept, over_white = decode(path, (8, 8), 4), decode(path, (8, 8), 3)
    assert kept[0][kept[3] > 0].max() <= 2
    assert (over_white[0] <= over_white[2]).all() and over_white[0, :, 0].min() == 255


@pytest.mark.parametrize("transparent", [False, True])
def test_palette(save, transparent):
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4), "P")
    palette = [(16 * i, 255 - i, 3 * i) for i in range(16)]
    image.putpalette([level for colour in palette for level in colour])
    path = save(image, "a.png", **({"transparency": 5} if transparent else {}))
    expected = np.array(palette)
    if transparent:
        expected[5] = 255
    assert np.array_equal(decode(path, (4, 4), 3).reshape(3, 16).T, expected)


def test_transparent_colour_without_alpha_channel(save):
    path = save(Image.fromarray(COLOUR), "a.png", transparency=(0, 0, 255))
    assert (decode(path, (16, 16), 3)[:, 0, 0] == 255).all()
    assert tuple(decode(path, (16, 16), 3)[:, 5, 5]) == tuple(COLOUR[5, 5])


def test_one_bit_and_cmyk(save):
    bits = RAMP % 3 == 0
    assert np.array_equal(decode(save(bits, "a.png"), (16, 16), 1)[0], bits * 255)
    cmyk = Image.fromarray(np.dstack([255 - COLOUR, np.zeros_like(RAMP)]), "CMYK")
    assert np.array_equal(decode(save(cmyk, "a.tif"), (16, 16), 3), COLOUR.transpose(2, 0, 1))
    assert decode(save(cmyk, "a.jpg", quality=95), (16, 16), 4)[3].min() == 255


def test_animation_gives_its_first_frame(save):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    for name in ("a.gif", "a.webp", "a.apng"):
        options = {"lossless": True} if name == "a.webp" else {}
        path = save(frames[0], name, save_all=True, append_images=frames[1:], **options)
        assert (decode(path, (8, 8), 3) == np.array([255, 0, 0]).reshape(3, 1, 1)).all()


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, COLOUR),
        (2, COLOUR[:, ::-1]),
        (3, COLOUR[::-1, ::-1]),
        (4, COLOUR[::-1]),
        (5, COLOUR.transpose(1, 0, 2)),
        (6, COLOUR.transpose(1, 0, 2)[::-1]),
        (7, COLOUR.transpose(1, 0, 2)[::-1, ::-1]),
        (8, COLOUR.transpose(1, 0, 2)[:, ::-1]),
    ],
)
def test_exif_orientation(save, orientation, stored):
    """The orientation tag says where the first stored row and column belong (EXIF 2.3, 4.6.4)."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(np.ascontiguousarray(stored), "a.png", exif=exif)
    assert np.array_equal(decode(path, (16, 16), 3), COLOUR.transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(8, 8), (8, 12), (12, 8), (5, 7)])
@pytest.mark.parametrize("shape", [(40, 100), (100, 40), (1, 30), (3, 3)])
def test_any_shape_fills_any_size(save, size, shape):
    pixels = decode(save(np.full((*shape, 3), 77, np.uint8), "a.png"), size, 3)
    assert pixels.shape == (3, *size)
    assert (pixels == 77).all()


def test_the_centre_is_kept(save):
    wide = np.zeros((16, 64), np.uint8)
    wide[:, 24:40] = RAMP
    assert np.array_equal(decode(save(wide, "wide.png"), (16, 16), 1)[0], RAMP)
    assert np.array_equal(decode(save(wide.T.copy(), "tall.png"), (16, 16), 1)[0], RAMP.T)


def test_resizing_is_antialiased(save):
    fine = (np.indices((96, 96)).sum(0) % 2 * 255).astype(np.uint8)
    small = decode(save(fine, "a.png"), (8, 8), 1).astype(int)
    assert abs(small - 127.5).max() <= 6


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_photographs(save, name):
    """Against the means of the 10 x 10 pixel blocks of the centre square."""
    for photo in load_sample_images().images:
        left = (photo.shape[1] - 420) // 2
        square = photo[3:423, left : left + 420].astype(float)
        blocks = square.reshape(42, 10, 42, 10, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
        cut = np.ascontiguousarray(photo[3:423])
        small = decode(save(cut, name, **({"quality": 95} if name == "a.jpg" else {})), (42, 42), 3)
        assert abs(small - blocks).mean() < 4
        assert np.corrcoef(small.ravel(), blocks.ravel())[0, 1] > 0.99


def test_large_images_are_decoded_one_at_a_time(save, monkeypatch):
    """However many threads there are: their copies would not fit into memory together."""
    small, large = save(RAMP, "small.png"), save(np.tile(RAMP, (2, 2)), "large.png")
    monkeypatch.setattr(decoding, "_LARGE", RAMP.size)
    within, most = Counter(), Counter()
    to_pixels = decoding.to_pixels

    def slowly(image, *rest):
        size = image.size
        within[size] += 1
        most[size] = max(most[size], within[size])
        time.sleep(0.02)
        within[size] -= 1
        return to_pixels(image, *rest)

    monkeypatch.setattr(decoding, "to_pixels", slowly)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda path: decode(path, (8, 8), 1), [small, large] * 8))
    assert most[32, 32] == 1 and most[16, 16] > 1


def test_arrays_of_both_layouts_resize_alike():
    tall = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    last, first = (decode_value("x", v, (8, 10), 3) for v in (tall, tall.transpose(2, 0, 1)))
    assert last.shape == (3, 8, 10)
    assert np.array_equal(first, last)
    assert np.array_equal(last[:1], decode_value("x", tall[..., 0], (8, 10), 1))


def test_floats_are_rounded_to_the_nearest_level():
    value = np.array([[0, 0.0999, 0.101, 1]])
    assert decode_value("x", value, (1, 4), 1).ravel().tolist() == [0, 25, 26, 255]
