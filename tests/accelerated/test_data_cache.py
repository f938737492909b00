from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.data import Crop, open_images, read_batch
from ddpm_mindspore.accelerated.data import cache as caches
from ddpm_mindspore.accelerated.data import folder as folders


@pytest.fixture(params=[2**31, 0], ids=["in_memory", "streamed"])
def limit(request):
    """Bytes of memory: everything must hold in memory and streamed."""
    return request.param


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (7, 20, 30, 3), dtype=np.uint8)
    for number, photo in enumerate(pixels):
        Image.fromarray(photo).save(folder / f"{number}.png")
    (folder / "3.png").write_text("no image")
    return folder


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """The names of the files that are decoded, in their order."""
    names: list[str] = []
    try_decode = folders.try_decode

    def note(file, *rest):
        names.append(Path(file).name)
        return try_decode(file, *rest)

    monkeypatch.setattr(folders, "try_decode", note)
    return names


def open_cached(photos: Path, limit: int, **options):
    return open_images(
        photos, (8, 8), 3, memory_limit=limit, cache=photos.parent / "deep/cache", **options
    )


def cache_files(photos: Path) -> list[Path]:
    return sorted((photos.parent / "deep/cache").iterdir())


def test_images_are_decoded_once_and_stay_the_same(photos, limit, decoded):
    plain = read_batch(open_images(photos, (8, 8), 3), 1, 0, 30)
    decoded.clear()
    first = open_cached(photos, limit)
    assert np.array_equal(read_batch(first, 1, 0, 30), plain)
    assert sorted(set(decoded)) == [f"{n}.png" for n in range(7)]
    decoded.clear()
    second = open_cached(photos, limit)
    assert np.array_equal(read_batch(second, 1, 0, 30), plain)
    assert set(decoded) == {"3.png"}  # it may have been repaired
    assert second.skipped == [(str(photos / "3.png"), "not an image that Pillow can read")]
    [file] = cache_files(photos)
    assert file.stat().st_size == 7 * (3 * 8 * 8 + 4)


def test_the_originals_are_not_needed_any_more(photos):
    images = open_cached(photos, 0)
    whole = read_batch(images, 1, 0, 14)
    shutil.rmtree(photos)
    shutil.rmtree(photos.parent / "deep")
    assert np.array_equal(read_batch(images, 1, 0, 14), whole)


@pytest.mark.parametrize("damage", ["flipped", "truncated"])
def test_a_damaged_cache_is_seen(photos, limit, decoded, damage):
    plain = read_batch(open_cached(photos, limit), 1, 0, 14)
    [file] = cache_files(photos)
    data = bytearray(file.read_bytes())
    data[2 * 196 + 50] ^= 4
    file.write_bytes(data if damage == "flipped" else data[:-100])
    decoded.clear()
    assert np.array_equal(read_batch(open_cached(photos, limit), 1, 0, 14), plain)
    assert ("2.png" in decoded) and (("5.png" in decoded) is (damage == "truncated"))


def test_changed_files_and_other_options_have_caches_of_their_own(photos, limit):
    before = open_cached(photos, limit).batch(np.arange(6))
    Image.new("RGB", (20, 20), "red").save(photos / "5.png")
    after = open_cached(photos, limit).batch(np.arange(6))
    assert np.array_equal(after[:4], before[:4]) and (after[4, 0] == 255).all()
    squeezed = open_cached(photos, limit, crop=Crop("none")).batch(np.arange(6))
    assert not np.array_equal(squeezed[0], before[0])
    assert len(cache_files(photos)) == 3


def test_pixels_of_an_older_rule_are_not_used(photos, limit, decoded, monkeypatch):
    monkeypatch.setattr(caches, "RULE", 1)
    open_cached(photos, limit)
    monkeypatch.undo()
    [old] = cache_files(photos)
    old.write_bytes(bytes(old.stat().st_size))
    assert open_cached(photos, limit).batch(np.arange(6)).any()
    assert len(cache_files(photos)) == 2


def test_a_write_that_fails_leaves_nothing_behind(photos, limit, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    (photos.parent / "deep/cache").mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ValueError, match=r"data_cache .* cannot be used \(No space left.*GB free"):
        open_cached(photos, limit)
    assert cache_files(photos) == []


def test_strict_looks_into_the_cache_too(photos, limit):
    open_cached(photos, limit)
    with pytest.raises(ValueError, match=r"3\.png' cannot be decoded"):
        open_cached(photos, limit, strict=True)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (None, {"crop": Crop("random")}, "data_cache holds images of one crop"),
        ("digits", {}, "data_cache '.*' needs a folder of images or a MindRecord file"),
    ],
)
def test_what_cannot_be_cached_is_refused(photos, source, options, message):
    with pytest.raises(ValueError, match=message):
        open_images(source or photos, (8, 8), 3, cache=photos.parent, **options)
