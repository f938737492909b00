"""Files that cannot be decoded: what is shown instead, how evenly, and that no order changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.data import Crop, Images, open_images, read_batch, read_spread
from ddpm_mindspore.accelerated.data.decode import Pixels8
from ddpm_mindspore.accelerated.data.records import RecordImages

N = 100
IN_A_ROW = range(30, 80)


@pytest.fixture(params=[2**31, 0], ids=["in_memory", "streamed"])
def limit(request: pytest.FixtureRequest) -> int:
    """Bytes of memory: everything must hold in memory and streamed."""
    return int(request.param)


def fill(folder: Path, broken: Iterable[int] = (), count: int = N) -> Path:
    """Pictures that say which they are, of which some are empty files."""
    folder.mkdir()
    for number in range(count):
        if number in broken:
            (folder / f"{number:03}.png").touch()
        else:
            Image.new("L", (8, 8), number).save(folder / f"{number:03}.png")
    return folder


def stream(images: Images, count: int, seed: int = 0, size: int = 10) -> list[int]:
    """Which pictures the first positions of the training stream show."""
    batches = [read_batch(images, seed, start, size) for start in range(0, count, size)]
    return [int(level) for level in np.concatenate(batches)[:, 0, 0, 0]]


@pytest.mark.parametrize("broken", [IN_A_ROW, range(60, N), range(1, N, 2)])
def test_broken_files_are_left_out_and_the_others_shown_once_an_epoch(
    tmp_path: Path, limit: int, broken: range
) -> None:
    images = open_images(fill(tmp_path / "d", broken), (8, 8), 1, memory_limit=limit)
    good = sorted(set(range(N)) - set(broken))
    assert len(images) == images.places == len(images.names) == len(good)
    assert len(images.skipped) == len(broken)
    for epoch in range(3):
        assert sorted(stream(images, 3 * len(good))[epoch * len(good) :][: len(good)]) == good


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_what_breaks_later_is_replaced_evenly(tmp_path: Path, limit: int, how: str) -> None:
    """Over 40 epochs each of 50 pictures is due 40 times, and about 40 times instead of another."""
    known = open_images(fill(tmp_path / "d"), (8, 8), 1).names
    for number in IN_A_ROW:
        path = tmp_path / "d" / f"{number:03}.png"
        path.unlink() if how == "gone" else path.write_bytes(b"")
    images = open_images(tmp_path / "d", (8, 8), 1, known=known, memory_limit=limit)
    assert (len(images), images.places, list(images.names)) == (50, N, list(known))
    assert len(images.gone) == (50 if how == "gone" else 0)
    counts = Counter(stream(images, 40 * N, size=100))
    extra = np.array([counts[n] - 40 for n in sorted(set(range(N)) - set(IN_A_ROW))])
    assert len(counts) == 50 and extra.sum() == 40 * 50
    # Poisson with mean 40: five deviations, and as much spread as that has, neither more nor less.
    assert extra.min() > 40 - 5 * 40**0.5 and extra.max() < 40 + 5 * 40**0.5
    assert 0.5 < extra.var(ddof=1) / 40 < 1.7


def test_it_does_not_matter_how_or_when_a_file_is_found_broken(tmp_path: Path) -> None:
    """In memory, streamed, from a cache, in batches of any size, before or within the session."""
    folder = fill(tmp_path / "d")
    known = list(open_images(folder, (8, 8), 1).names)
    whole = open_images(folder, (8, 8), 1, memory_limit=0)
    open_before = open_images(folder, (8, 8), 1, memory_limit=0)
    undisturbed = stream(whole, 3 * N)
    for number in (3, 4, 5, 50, 98):
        (folder / f"{number:03}.png").write_bytes(b"torn")
    truth = stream(open_images(folder, (8, 8), 1, known=known), 3 * N)
    same = [a for a, b in zip(undisturbed, truth, strict=True) if a == b]
    assert len(same) == 3 * N - 15  # all others stay where they were
    ways: dict[str, Callable[[], Images]] = {
        "streamed": lambda: open_images(folder, (8, 8), 1, known=known, memory_limit=0),
        "cached": lambda: open_images(
            folder, (8, 8), 1, known=known, memory_limit=0, cache=tmp_path / "cache"
        ),
        "cached before": lambda: open_images(
            folder, (8, 8), 1, known=known, cache=tmp_path / "cache"
        ),
        "open before": lambda: open_before,
    }
    for way, make in ways.items():
        assert stream(make(), 3 * N, size=30) == truth, way
    # Two processes, each of which reads and meets its own half of every batch.
    halves = [open_images(folder, (8, 8), 1, known=known, memory_limit=0) for _ in range(2)]
    parts = [
        read_batch(halves[rank], 0, start + 5 * rank, 5)
        for start in range(0, 3 * N, 10)
        for rank in range(2)
    ]
    assert np.concatenate(parts)[:, 0, 0, 0].tolist() == truth
    assert stream(open_images(folder, (8, 8), 1, known=known), N, seed=1) != truth[:N]


def test_random_crops_replace_alike(tmp_path: Path) -> None:
    folder, crop = fill(tmp_path / "d"), Crop("random")
    before = open_images(folder, (8, 8), 1, crop=crop)
    for number in range(20):
        (folder / f"{number:03}.png").write_bytes(b"torn")
    known = open_images(folder, (8, 8), 1, crop=crop, known=before.names)
    assert stream(before, 2 * N) == stream(known, 2 * N)


def test_what_breaks_between_two_sessions_keeps_its_place_and_what_was_broken_has_none(
    tmp_path: Path, limit: int
) -> None:
    folder = fill(tmp_path / "d", broken=[7, 8])
    first = open_images(folder, (8, 8), 1, memory_limit=limit)
    assert len(first.names) == 98
    (folder / "020.png").write_bytes(b"torn")
    (folder / "021.png").unlink()
    second = open_images(folder, (8, 8), 1, memory_limit=limit, known=first.names)
    assert list(second.names) == list(first.names) and (len(second), second.places) == (96, 98)
    pairs = zip(stream(first, 980) if limit else [], stream(second, 980), strict=False)
    assert {a for a, b in pairs if a != b} <= {20, 21}
    # What was broken from the start and is whole now is new.
    Image.new("L", (8, 8), 7).save(folder / "007.png")
    third = open_images(folder, (8, 8), 1, memory_limit=limit, known=second.names)
    assert set(third.names) - set(first.names) == {"007.png"}


def test_a_torn_file_that_was_left_out_does_not_come_back_when_the_data_is_streamed(
    tmp_path: Path,
) -> None:
    """Its beginning and its end tell nothing: what joins a run is decoded."""
    folder = fill(tmp_path / "d", count=9)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "torn.bmp")
    data = (folder / "torn.bmp").read_bytes()
    (folder / "torn.bmp").write_bytes(data[: len(data) // 2])
    names = open_images(folder, (8, 8), 1).names
    assert len(names) == 9
    streamed = open_images(folder, (8, 8), 1, known=names, memory_limit=0)
    assert list(streamed.names) == list(names)
    unknown = open_images(folder, (8, 8), 1, memory_limit=0)
    assert len(unknown) == 10 and not unknown.checked
    assert set(stream(unknown, 50)) == set(range(9)) and len(unknown) == 9


def test_classes_are_those_of_what_can_be_read(tmp_path: Path, limit: int) -> None:
    for number, name in enumerate(["cat", "dog", "emu"]):
        fill(tmp_path / name, broken=range(3) if name == "dog" else [number], count=3)
    (tmp_path / "broken.png").touch()  # in no folder: were it an image, there would be no classes
    images = open_images(tmp_path, (8, 8), 1, memory_limit=limit)
    assert list(images.classes) == ["cat", "emu"] and images.labels is not None
    assert images.labels.tolist() == [0, 0, 1, 1]
    assert images.batch(np.arange(4))[:, 0, 0, 0].tolist() == [1, 2, 0, 1]


def test_images_to_look_at_are_spread_over_all_and_stay_the_same(
    tmp_path: Path, limit: int
) -> None:
    folder = fill(tmp_path / "d")
    images = open_images(folder, (8, 8), 1, memory_limit=limit)
    shown = read_spread(images, 4).x[:, 0, 0, 0].tolist()
    assert shown == [12, 37, 62, 87]
    assert read_spread(images, N + 5).x[:, 0, 0, 0].tolist() == list(range(N))
    (folder / "037.png").unlink()
    again = open_images(folder, (8, 8), 1, memory_limit=limit, known=images.names)
    after = read_spread(again, 4).x[:, 0, 0, 0].tolist()
    assert [after[j] for j in (0, 2, 3)] == [12, 62, 87] and after[1] != 37
    assert read_spread(again, 4).x[:, 0, 0, 0].tolist() == after


class OneOf:
    """Records of which one alone can be read."""

    shape, draws = (1, 1, 1), 0

    def __init__(self, count: int, good: int) -> None:
        self.count, self.good, self.tried = count, good, Counter[int]()

    def __len__(self) -> int:
        return self.count

    def name(self, place: int) -> str:
        return str(place)

    def read(self, places: Any, draws: Any) -> list[Pixels8 | str]:
        self.tried.update(places)
        return [np.zeros((1, 1, 1), np.uint8) if p == self.good else "torn" for p in places]


def test_the_last_readable_record_is_found_and_none_is_an_error() -> None:
    records = OneOf(50, good=17)
    images = RecordImages(records)
    assert images.batch(np.arange(50)).shape == (50, 1, 1, 1) and len(images) == 1
    assert max(count for place, count in records.tried.items() if place != 17) == 1
    with pytest.raises(
        ValueError, match=r"none of the 5 images of data can be decoded \('\d': torn"
    ):
        RecordImages(OneOf(5, good=-1)).batch(np.arange(2))
