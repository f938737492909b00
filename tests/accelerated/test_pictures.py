"""Pictures: every pixel where it belongs, nothing blurred, files written whole."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from ddpm_mindspore.accelerated.reports.pictures import (
    comparison,
    grid,
    loss_curve,
    save_png,
    save_singles,
)


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(len(shape)).integers(0, 256, shape, np.uint8)


def tile(
    page: Image.Image, row: int, column: int, shape: tuple[int, ...], gap: int
) -> NDArray[np.uint8]:
    """Cut the image at (row, column) back out of a grid: (C, H, W), at its size on the page."""
    height, width = shape
    box = [gap + column * (width + gap), gap + row * (height + gap)]
    pixels = np.asarray(page.crop((*box, box[0] + width, box[1] + height)))
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize("scale", [1, 3])
def test_every_image_stands_in_its_place_enlarged_without_blur(
    channels: int, mode: str, scale: int
) -> None:
    images = noise(7, channels, 5, 8)
    page = grid(images, columns=3, scale=scale, gap=2)
    assert page.mode == mode
    assert page.size == (3 * (8 * scale + 2) + 2, 3 * (5 * scale + 2) + 2)
    for i, image in enumerate(images):
        seen = tile(page, i // 3, i % 3, (5 * scale, 8 * scale), 2)
        np.testing.assert_array_equal(seen, np.kron(image, np.ones((scale, scale), np.uint8)))
    empty = tile(page, 2, 2, (5 * scale, 8 * scale), 2)
    assert (empty == 255).all()
    pixels = np.asarray(page).reshape(page.height, page.width, channels)
    assert (pixels[:2] == 255).all()
    assert (pixels[-2:] == 255).all()
    assert (pixels[:, :2] == 255).all()


@pytest.mark.parametrize(
    ("side", "shown"), [(8, 48), (16, 48), (28, 56), (32, 64), (48, 48), (64, 64), (128, 128)]
)
def test_small_images_are_enlarged_so_that_a_person_can_see_them(side: int, shown: int) -> None:
    assert grid(np.zeros((1, 1, side, side), np.uint8), gap=0).size == (shown, shown)


@pytest.mark.parametrize(
    ("count", "columns", "rows"), [(1, 1, 1), (2, 2, 1), (5, 3, 2), (64, 8, 8)]
)
def test_a_grid_is_about_square(count: int, columns: int, rows: int) -> None:
    assert grid(noise(count, 1, 4, 4), scale=1, gap=0).size == (4 * columns, 4 * rows)
    assert grid(noise(2, 1, 4, 4), columns=5, scale=1, gap=0).size == (8, 4)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 1, 4, 4)), r"float64 \(2, 1, 4, 4\): give uint8"),
        (noise(4, 4, 3), r"uint8 \(4, 4, 3\): give uint8 \(N, C, H, W\)"),
        (noise(2, 2, 4, 4), "have 2 channels: 1, 3 or 4"),
        (noise(0, 1, 4, 4), "hold no pixel"),
    ],
)
def test_what_is_no_picture_is_refused(
    tmp_path: Path, images: NDArray[np.uint8], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        grid(images)
    with pytest.raises(ValueError, match=message):
        comparison(noise(2, 1, 4, 4), images)
    with pytest.raises(ValueError, match=message):
        save_singles(images, tmp_path)
    with pytest.raises(ValueError, match="scale 0"):
        grid(noise(1, 1, 4, 4), scale=0)


def contains(page: NDArray[np.uint8], part: NDArray[np.uint8]) -> tuple[int, int]:
    """Find where ``part`` lies in ``page``: (y, x)."""
    windows = np.lib.stride_tricks.sliding_window_view(page, part.shape)
    (found,) = np.argwhere((windows == part).all(axis=(-3, -2, -1)))
    return int(found[0]), int(found[1])


def test_a_comparison_shows_samples_left_real_images_right_captions_above() -> None:
    samples, real = noise(4, 3, 8, 8), noise(3, 3, 8, 8)[:, ::-1]
    page = comparison(samples, real, scale=2)
    assert page.mode == "RGB"
    pixels = np.asarray(page)
    y, left = contains(pixels, np.asarray(grid(samples, columns=2, scale=2)))
    also_y, right = contains(pixels, np.asarray(grid(real, columns=2, scale=2)))
    assert y == also_y
    assert y + 44 == page.height
    assert left + 44 < right
    caption = pixels[:y].min(axis=2) < 128
    assert not caption[[0, -1]].any(), "no caption is cut off"
    assert not caption[:, [0, -1]].any()
    for start in (left, right):
        assert caption[:, start : start + 44].any(axis=1).sum() >= 10, "ten pixels high at least"


def test_captions_grow_with_the_picture_and_say_what_they_are_told() -> None:
    def ink(page: Image.Image) -> int:
        return int((np.asarray(page).min(axis=2) < 128).sum())

    white = np.full((4, 1, 8, 8), 255, np.uint8)
    assert ink(comparison(white, white, captions=("", ""))) == 0
    assert 0 < ink(comparison(white, white, captions=("i", ""))) < ink(comparison(white, white))
    large = np.full((4, 1, 512, 512), 255, np.uint8)
    assert ink(comparison(large, large)) > ink(comparison(white, white))


def test_transparent_images_lie_on_white_in_a_comparison() -> None:
    clear = np.zeros((1, 4, 8, 8), np.uint8)
    page = np.asarray(comparison(clear, clear, captions=("", "")))
    assert page.shape[2] == 3
    assert (page == 255).all()


def test_images_of_different_shapes_are_not_compared() -> None:
    with pytest.raises(ValueError, match=r"images \(1, 1, 8, 8\) and \(1, 1, 8, 9\)"):
        comparison(noise(1, 1, 8, 8), noise(1, 1, 8, 9))


def test_a_png_is_read_back_exactly_and_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    save_png(grid(noise(3, 1, 8, 8)), path)
    (tmp_path / "kept.png").hardlink_to(path)
    for channels in (3, 4):
        page = grid(noise(3, channels, 8, 8))
        save_png(page, path)
        with Image.open(path) as read:
            assert (read.format, read.mode) == ("PNG", page.mode)
            np.testing.assert_array_equal(np.asarray(read), np.asarray(page))
    with Image.open(tmp_path / "kept.png") as old:
        assert old.mode == "L"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["grid.png", "kept.png"]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_single_images_keep_their_size_and_order(tmp_path: Path, channels: int) -> None:
    images = noise(11, channels, 5, 7)
    folder = tmp_path / "new" / "singles"
    save_singles(images, folder)
    assert sorted(file.name for file in folder.iterdir()) == [f"{i:05d}.png" for i in range(11)]
    for i, image in enumerate(images):
        with Image.open(folder / f"{i:05d}.png") as read:
            pixels = np.asarray(read).reshape(5, 7, channels).transpose(2, 0, 1)
        np.testing.assert_array_equal(pixels, image)


def blue(path: Path) -> NDArray[np.bool_]:
    """Where a plot has ink of the curve's colour: (H, W)."""
    with Image.open(path) as read:
        pixels = np.asarray(read.convert("RGB")).astype(int)
    return pixels[..., 2] - pixels[..., 0] > 30


def test_a_loss_curve_leaves_no_figure_behind(tmp_path: Path) -> None:
    gc.disable()  # what looks for such things now and then, and would hide it
    try:
        loss_curve([1, 2, 3], [3.0, 2.0, 1.0], tmp_path / "loss.png")
        assert not [thing for thing in gc.get_objects() if type(thing) is Figure]
    finally:
        gc.enable()


def test_a_loss_curve_is_a_picture_of_the_promised_size_that_falls(tmp_path: Path) -> None:
    steps = np.arange(1, 501)
    loss_curve(steps, 0.03 + np.exp(-steps / 50), tmp_path / "loss.png")
    with Image.open(tmp_path / "loss.png") as read:
        assert read.size == (800, 450)
    curve = blue(tmp_path / "loss.png")[:, :640]  # left of the legend
    columns = np.flatnonzero(curve.any(axis=0))
    heights = [np.flatnonzero(curve[:, x]).mean() for x in (columns[2], columns[-2])]
    assert heights[0] + 100 < heights[1]
    assert len(columns) > 500
    assert [file.name for file in tmp_path.iterdir()] == ["loss.png"]


@pytest.mark.parametrize(
    ("steps", "losses"),
    [
        ([10], [0.3]),
        (range(5), [0.0, 0.0, 0.0, 0.0, 0.0]),
        (range(4), [1.0, float("nan"), float("inf"), 0.1]),
        (range(100), np.linspace(-1, 1, 100)),
        (range(100_000), np.ones(100_000)),
    ],
)
def test_any_losses_can_be_plotted_without_a_warning(
    tmp_path: Path,
    steps: object,
    losses: object,
    recwarn: pytest.WarningsRecorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loss_curve(np.array(steps), np.array(losses), tmp_path / "loss.png")
    assert blue(tmp_path / "loss.png").any()
    assert not list(recwarn)
    assert not caplog.records
    assert logging.getLogger("matplotlib").level == logging.NOTSET


def test_the_title_tells_the_smoothed_loss_and_what_was_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = []

    def plot(x: object, y: object, mean: object, title: str) -> bytes:
        titles.append(title)
        return b""

    monkeypatch.setattr("ddpm_mindspore.accelerated.reports.pictures._plot", plot)
    losses = np.tile([0.1, 0.3], 3000)
    loss_curve(np.arange(6000), losses, tmp_path / "loss.png")
    loss_curve([1, 2, 3], [0.5, 0.5, float("nan")], tmp_path / "loss.png")
    assert titles == [
        "training loss: 0.2 (running mean at step 5,999)",
        "training loss: 0.5 (running mean at step 2), 1 not finite",
    ]


def test_losses_that_make_no_curve_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"steps \(3,\) and losses \(2,\)"):
        loss_curve([1, 2, 3], [1.0, 2.0], tmp_path / "loss.png")
    with pytest.raises(ValueError, match="none of the 2 losses is finite"):
        loss_curve([1, 2], [float("nan")] * 2, tmp_path / "loss.png")
    assert not list(tmp_path.iterdir())
