from __future__ import annotations

import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from ddpm_mindspore.accelerated.data import (
    open_images,
    read_batch,
    read_names,
    skipped_text,
    write_names,
)

ALL = {"in_memory": 2**31, "streamed": 0}


@pytest.fixture(params=ALL.values(), ids=ALL.keys())
def limit(request):
    """Bytes of memory: everything must hold in memory and streamed."""
    return request.param


def write(path: Path, level: int) -> Path:
    """Write a grey image that can be told from the others by its level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (9, 7), level).save(path)
    return path


def truncate(path: Path) -> Path:
    """Cut a real photograph in half: its header stays readable."""
    Image.fromarray(load_sample_images().images[0]).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def levels(images) -> list[int]:
    return images.batch(np.arange(images.places))[:, 0, 0, 0].tolist()


def test_files_are_found_at_any_depth_in_the_order_of_their_paths(tmp_path, limit):
    for level, name in enumerate(["a/z.png", "a/b/c/d.TIF", "b.bmp", "B.jpeg", "a.webp", "é.gif"]):
        write(tmp_path / name, 10 * level)
    write(tmp_path / ".hidden.png", 200)
    write(tmp_path / ".cache/thumb.png", 201)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "clip.mpg").write_bytes(b"\0\0\1\xb3")
    images = open_images(tmp_path, (4, 4), 1, memory_limit=limit)
    # B.jpeg, a.webp, a/b/c/d.TIF, a/z.png, b.bmp, é.gif
    assert abs(np.array(levels(images)) - [30, 40, 10, 0, 20, 50]).max() <= 1
    assert images.shape == (1, 4, 4) and images.skipped == []
    assert not images.sequential


def test_streaming_and_memory_agree_on_real_photographs(tmp_path):
    for number, photo in enumerate(load_sample_images().images):
        for part in range(3):
            cut = np.ascontiguousarray(photo[100 * part :, : 400 + 50 * part])
            Image.fromarray(cut).save(tmp_path / f"{number}{part}.jpg")
    memory, streamed = (open_images(tmp_path, (24, 32), 3, memory_limit=m) for m in ALL.values())
    assert memory.checked and not streamed.checked
    for start in (0, 4):
        batch = read_batch(streamed, 1, start, 5)
        assert batch.shape == (5, 3, 24, 32) and batch.dtype == np.uint8
        assert np.array_equal(batch, read_batch(memory, 1, start, 5))


def test_the_memory_limit_counts_the_decoded_bytes(tmp_path):
    for level in range(3):
        write(tmp_path / f"{level}.png", level)
    exact = 3 * 3 * 4 * 5
    fits, too_large = (open_images(tmp_path, (4, 5), 3, memory_limit=m) for m in (exact, exact - 1))
    for path in tmp_path.iterdir():
        path.unlink()
    assert levels(fits) == [0, 1, 2]
    with pytest.raises(
        ValueError, match=r"none of the 3 images of data can be decoded \('.*0\.png': No such file"
    ):
        levels(too_large)


def test_links_are_followed_and_loops_end(tmp_path, limit):
    write(tmp_path / "real/a.png", 1)
    elsewhere = write(tmp_path / "elsewhere/b.png", 2).parent
    root = tmp_path / "real"
    (root / "linked").symlink_to(elsewhere)
    (root / "c.png").symlink_to(elsewhere / "b.png")
    (elsewhere / "up").symlink_to(root)
    assert levels(open_images(root, (4, 4), 1, memory_limit=limit)) == [1, 2, 2]


def test_a_folder_named_digits_is_reachable(tmp_path, monkeypatch):
    write(tmp_path / "digits/a.png", 9)
    monkeypatch.chdir(tmp_path)
    assert len(open_images("./digits", (8, 8), 1)) == 1
    assert len(open_images(Path("digits"), (8, 8), 1)) == 1
    assert len(open_images("digits", (8, 8), 1)) == 1797


def test_bad_files_among_good_ones_are_named(tmp_path, limit):
    write(tmp_path / "a.png", 1)
    (tmp_path / "b.png").write_text("not an image")
    (tmp_path / "c.jpg").touch()
    (tmp_path / "d.png").symlink_to(tmp_path / "gone.png")
    os.mkfifo(tmp_path / "e.png")
    write(tmp_path / "f.png", 6)
    images = open_images(tmp_path, (4, 4), 1, memory_limit=limit)
    assert levels(images) == [1, 6] and list(images.names) == ["a.png", "f.png"]
    assert len(images) == images.places == 2
    assert sorted(images.skipped) == [
        (str(tmp_path / "b.png"), "not an image that Pillow can read"),
        (str(tmp_path / "c.jpg"), "an empty file"),
        (str(tmp_path / "d.png"), "not a file, or a broken link"),
        (str(tmp_path / "e.png"), "not a file, or a broken link"),
    ]


@pytest.mark.parametrize("bad", ["b.png", "d.png"])
def test_strict_refuses_a_bad_file_at_once(tmp_path, limit, bad):
    write(tmp_path / "a.png", 1)
    if bad == "b.png":
        (tmp_path / bad).write_text("not an image")
    else:
        (tmp_path / bad).symlink_to(tmp_path / "gone.png")
    with pytest.raises(ValueError, match=rf"{bad}' cannot be decoded: not a.*; remove it, or"):
        open_images(tmp_path, (4, 4), 1, strict=True, memory_limit=limit)


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    write(tmp_path / "a.png", 1)
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refuse(path):  # chmod stops nobody who runs as root
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    images = open_images(tmp_path, (4, 4), 1)
    assert images.skipped == [(str(tmp_path / "locked"), "Permission denied")]
    with pytest.raises(ValueError, match="locked' cannot be decoded: Permission denied"):
        open_images(tmp_path, (4, 4), 1, strict=True)


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "gif", "webp", "bmp"])
def test_truncated_photographs_are_skipped(tmp_path, limit, ending):
    write(tmp_path / "a.png", 1)
    bad = truncate(tmp_path / f"b.{ending}")
    images = open_images(tmp_path, (4, 4), 1, memory_limit=limit)
    if ending in ("tif", "bmp") and not limit:  # their last bytes tell nothing
        assert len(images) == 2 and levels(images) == [1, 1]
    assert len(images) == 1 and set(levels(images)) == {1}
    [(path, why)] = images.skipped
    assert path == str(bad) and why and "\n" not in why and str(bad) not in why


def test_files_that_break_in_the_stream_are_replaced_by_good_ones(tmp_path):
    for level, name in enumerate("abcde"):
        write(tmp_path / f"{name}.png", level)
    images = open_images(tmp_path, (4, 4), 1, memory_limit=0)
    broken = [truncate(tmp_path / "b.png"), truncate(tmp_path / "e.png")]
    assert len(images) == 5
    shown = levels(images)
    assert [shown[0], *shown[2:4]] == [0, 2, 3] and {shown[1], shown[4]} < {0, 2, 3}
    assert (len(images), images.places) == (3, 5)
    assert images.batch(np.array([1, 4, 1])).ravel()[::16].tolist() == [shown[j] for j in (1, 4, 1)]
    assert sorted(path for path, _ in images.skipped) == [str(path) for path in broken]
    assert all("truncated" in why for _, why in images.skipped)
    known = images.skipped
    write(tmp_path / "a.png", 0).unlink()  # sorts before the others, and comes last
    assert set(levels(images)) == {2, 3} and len(images) == 2
    assert images.skipped == [*known, (str(tmp_path / "a.png"), "No such file or directory")]


def test_strict_refuses_a_truncated_file_at_once(tmp_path, limit):
    write(tmp_path / "a.png", 0)
    truncate(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png' cannot be decoded: .*truncated"):
        open_images(tmp_path, (4, 4), 1, strict=True, memory_limit=limit)


def test_strict_refuses_a_file_that_breaks_in_the_stream(tmp_path):
    write(tmp_path / "a.png", 0)
    write(tmp_path / "b.png", 1)
    images = open_images(tmp_path, (4, 4), 1, strict=True, memory_limit=0)
    truncate(tmp_path / "b.png")
    assert images.batch(np.array([0])).max() == 0
    with pytest.raises(ValueError, match=r"b\.png' cannot be decoded: .*truncated"):
        images.batch(np.array([0, 1]))


def test_a_stream_can_be_read_from_several_threads(tmp_path):
    for level in range(20):
        write(tmp_path / f"{level:02}.png", level)
    images = open_images(tmp_path, (4, 4), 1, memory_limit=0)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(levels, [images] * 4)) == [list(range(20))] * 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone", r"data folder '.*gone' does not exist: give a folder of images, or \"digits\""),
        ("a.png", r"data folder '.*a\.png' is a file: give the folder that holds"),
        ("empty", r"data folder '.*empty' holds no image \(left out: 1 that is no image \(\.txt 1"),
        ("empty/deep", r"data folder '.*deep' holds no image: give a folder of images"),
        ("bad", r"none of the 2 images of data can be decoded \('.*bad/x\.png': not an image"),
    ],
)
def test_folders_without_images_are_refused(tmp_path, limit, name, message):
    write(tmp_path / "a.png", 1)
    (tmp_path / "empty/deep").mkdir(parents=True)
    (tmp_path / "empty/notes.txt").write_text("no image")
    (tmp_path / "bad").mkdir()
    for bad in ("x.png", "y.png"):
        (tmp_path / "bad" / bad).write_text("no image")
    with pytest.raises(ValueError, match=message) as caught:
        open_images(str(tmp_path / name), (4, 4), 1, memory_limit=limit)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("error")
def test_large_photographs_are_read_and_absurd_ones_skipped(tmp_path, limit, monkeypatch):
    """Pillow warns above a number of pixels, and refuses twice as many."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (15, 10), 3).save(tmp_path / "large.png")
    Image.new("L", (30, 10), 4).save(tmp_path / "bomb.png")
    images = open_images(tmp_path, (4, 4), 1, memory_limit=limit)
    assert levels(images) == [3]
    why = "more than 0.0002 megapixels, the most that is read"
    assert images.skipped == [(str(tmp_path / "bomb.png"), why)]


def test_progress_is_silent_for_quick_folders(tmp_path, limit, capfd):
    write(tmp_path / "a.png", 1)
    open_images(tmp_path, (4, 4), 1, memory_limit=limit, progress=True)
    assert capfd.readouterr() == ("", "")


def test_skipped_text_names_a_few_and_counts_all():
    assert skipped_text([("a", "bad")]) == "skipped 1 file that cannot be decoded: a (bad)"
    many = [(name, "bad") for name in "abcdefg"]
    assert skipped_text(many, most=2) == (
        "skipped 7 files that cannot be decoded: a (bad), b (bad), and 5 more"
    )


def five(tmp_path) -> list[Path]:
    return [write(tmp_path / f"{name}.png", 10 * level) for level, name in enumerate("abcde")]


def test_breaking_files_change_no_other_image_of_the_stream(tmp_path, limit):
    """Whatever breaks whenever: all positions whose own file can be read stay as they were."""
    files = five(tmp_path)
    whole = open_images(tmp_path, (4, 4), 1, memory_limit=limit)
    before = read_batch(whole, 3, 0, 40)[:, 0, 0, 0]
    files[1].unlink()
    truncate(files[3])
    again = open_images(tmp_path, (4, 4), 1, memory_limit=limit, known=whole.names)
    assert (len(again), again.places, list(again.gone)) == (3, 5, ["b.png"])
    expected = read_batch(again, 3, 0, 40)[:, 0, 0, 0].tolist()
    broke = np.isin(before, [10, 30])
    assert np.array_equal(np.array(expected)[~broke], before[~broke])
    assert set(np.array(expected)[broke]) == {0, 20, 40}
    for start in (0, 7, 33):
        assert read_batch(again, 3, start, 7)[:, 0, 0, 0].tolist() == expected[start : start + 7]
    (gone, why), (cut, _) = sorted(again.skipped)
    assert (gone, why, cut) == (str(files[1]), "No such file or directory", str(files[3]))
    if limit == 0:  # the one that was open already sees the same
        assert read_batch(whole, 3, 0, 40)[:, 0, 0, 0].tolist() == expected
    else:
        assert np.array_equal(read_batch(whole, 3, 0, 40)[:, 0, 0, 0], before)


def test_files_that_came_later_join_the_known_ones(tmp_path, limit):
    five(tmp_path)
    names = open_images(tmp_path, (4, 4), 1, memory_limit=limit).names
    assert list(names) == ["a.png", "b.png", "c.png", "d.png", "e.png"]
    write(tmp_path / "bb.png", 99)
    images = open_images(tmp_path, (4, 4), 1, memory_limit=limit, known=names)
    assert levels(images) == [0, 10, 99, 20, 30, 40] and images.skipped == []


def test_a_batch_larger_than_a_tiny_folder(tmp_path, limit):
    write(tmp_path / "one.png", 7)
    images = open_images(tmp_path, (4, 4), 1, memory_limit=limit)
    assert (read_batch(images, 0, 5, 16) == 7).all()
    write(tmp_path / "two.png", 8)
    pair = read_batch(open_images(tmp_path, (4, 4), 1, memory_limit=limit), 0, 0, 16)[:, 0, 0, 0]
    assert sorted(pair.tolist()) == [7] * 8 + [8] * 8


def test_a_shortage_of_file_descriptors_is_no_fault_of_the_files(tmp_path):
    five(tmp_path)
    images = open_images(tmp_path, (4, 4), 1, memory_limit=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    last = os.open(os.devnull, os.O_RDONLY)
    os.close(last)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            images.batch(np.arange(5))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert levels(images) == [0, 10, 20, 30, 40] and images.skipped == []


def test_sub_folders_are_classes(tmp_path, limit):
    for level, name in enumerate(["dog/a.png", "cat/b.png", "dog/deep/c.png", "emu/d.png"]):
        write(tmp_path / name, level)
    images = open_images(tmp_path, (4, 4), 1, memory_limit=limit)
    assert list(images.classes) == ["cat", "dog", "emu"]
    assert images.labels.dtype == np.int64 and images.labels.tolist() == [0, 1, 1, 2]
    assert levels(images) == [1, 0, 2, 3]
    some = open_images(tmp_path, (4, 4), 1, memory_limit=limit, only_class=["emu", "dog"])
    assert list(some.classes) == ["dog", "emu"] and some.labels.tolist() == [0, 0, 1]
    assert levels(some) == [0, 2, 3]
    assert list(some.names) == ["dog/a.png", "dog/deep/c.png", "emu/d.png"]
    with pytest.raises(ValueError, match=r"only_class 'cow' is no class of data: .*cat, dog, emu"):
        open_images(tmp_path, (4, 4), 1, memory_limit=limit, only_class=["dog", "cow"])


def test_a_file_outside_of_all_sub_folders_has_no_class_and_so_none_has(tmp_path, limit):
    write(tmp_path / "dog/a.png", 0)
    write(tmp_path / "b.png", 0)
    images = open_images(tmp_path, (4, 4), 1, memory_limit=limit)
    assert images.labels is None and list(images.classes) == []
    with pytest.raises(ValueError, match="only_class dog needs images in one sub-folder"):
        open_images(tmp_path, (4, 4), 1, memory_limit=limit, only_class=["dog"])


RESIDENT = """
import sys
from pathlib import Path
from ddpm_mindspore.accelerated.data import Prefetch, open_images, read_batch

def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096

images = open_images(sys.argv[1], (256, 256), 3, memory_limit=2**24)
with Prefetch(lambda n: read_batch(images, 0, 16 * n, 16), 0) as batches:
    most = [max((next(batches), resident())[1] for _ in range(20)) for _ in range(4)]
print(*(value - most[0] for value in most))
"""


def test_reading_a_folder_larger_than_the_limit_takes_no_more_memory_as_it_goes_on(tmp_path):
    """118 MB of pixels with a limit of 16.8 MB, read twice in quarters."""
    ramp = np.add.outer(np.arange(256), np.arange(256)) // 2
    for number in range(20):
        grey = ((ramp + number) % 256).astype(np.uint8)
        Image.fromarray(np.dstack([grey] * 3)).save(tmp_path / f"{number:03}.png")
        for copy in range(1, 30):
            (tmp_path / f"{number:03}-{copy}.png").hardlink_to(tmp_path / f"{number:03}.png")
    run = subprocess.run(
        [sys.executable, "-c", RESIDENT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    growth = [int(value) for value in run.stdout.split()]
    assert max(growth) < 2**24, growth


def test_the_known_files_of_another_folder_are_not_looked_for(tmp_path, limit):
    five(tmp_path)
    some = ["a.png", "b.png", "c.png", "x.png", "y.png"]
    assert open_images(tmp_path, (4, 4), 1, memory_limit=limit, known=some).places == 7
    images = open_images(tmp_path, (4, 4), 1, memory_limit=limit, known=[*some, "z.png", "w.png"])
    assert levels(images) == [0, 10, 20, 30, 40] and images.skipped == []


def test_names_are_kept_in_a_file(tmp_path):
    file = tmp_path / "images.json"
    assert read_names(file) == []
    write_names(file, [])
    assert not file.exists()
    names = ["a b/é.png", 'new\nline".jpg', os.fsdecode(b"\xff.png")]
    write_names(file, names)
    assert read_names(file) == names
    before = file.stat().st_ino
    write_names(file, tuple(names))
    assert file.stat().st_ino == before
    write_names(file, names[:1])
    assert read_names(file) == names[:1]
    for damaged in ('["a.png", ', '{"a": 1}'):
        file.write_text(damaged)
        with pytest.raises(ValueError, match=r"images\.json is damaged"):
            read_names(file)
