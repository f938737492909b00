from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ddpm_mindspore.accelerated.data import open_images, read_batch
from ddpm_mindspore.accelerated.data.crops import Crop
from ddpm_mindspore.accelerated.data.decode import to_pixels

sides = st.integers(1, 300)
sizes = st.tuples(sides, sides)
share = st.floats(0, 1, exclude_max=True)


def position_image(height: int, width: int) -> Image.Image:
    """Every pixel says where it is: red its row, green its column."""
    rows, columns = np.indices((height, width))
    return Image.fromarray(np.dstack([rows, columns, 0 * rows]).astype(np.uint8))


@given(size=sizes, image_size=sizes, draw=st.tuples(share, share, share), least=share)
@pytest.mark.parametrize("kind", ["center", "random", "random_resized", "none"])
def test_every_box_lies_inside_the_image_and_has_the_right_proportions(
    kind, size, image_size, draw, least
):
    crop = Crop(kind, max(least, 0.01))
    left, top, right, bottom = crop.box(size, image_size, draw)
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
    if kind == "none":
        assert (left, top, right, bottom) == (0, 0, *size)
        return
    width, height = right - left, bottom - top
    assert width * image_size[0] == pytest.approx(height * image_size[1], rel=1e-6)
    largest = max(width / size[0], height / size[1])
    if kind == "random_resized":
        assert crop.least_share * 0.999 <= largest <= 1
    else:
        assert largest == pytest.approx(1)


@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    image_size=st.tuples(*[st.integers(1, 20)] * 2),
)
def test_the_centre_is_that_of_pillow(size, image_size):
    image = position_image(*size)
    fitted = ImageOps.fit(image, image_size[::-1], Image.Resampling.BICUBIC)
    ours = to_pixels(image, image_size, 3)
    assert np.array_equal(ours, np.asarray(fitted).transpose(2, 0, 1))


def test_the_largest_boxes_at_random_reach_every_place_and_keep_their_pixels():
    image = position_image(8, 13)
    lefts = set()
    for x in np.linspace(0, 0.999, 60):
        pixels = to_pixels(image, (8, 8), 3, Crop("random"), (0.5, x, 0.3))
        assert np.array_equal(pixels[0, :, 0], np.arange(8))
        left = int(pixels[1, 0, 0])
        assert np.array_equal(pixels[1, 0], np.arange(left, left + 8))
        lefts.add(left)
    assert lefts == set(range(6))


def test_random_sizes_follow_their_draw():
    box = Crop("random_resized", 0.5).box((100, 100), (10, 10), (0.0, 0.0, 0.999))
    assert box == (0, 50, 50, 100)
    left, top, right, _ = Crop("random_resized", 0.5).box((100, 100), (10, 10), (0.5, 0.5, 0))
    assert (right - left, top) == (75, 0) and left in (12, 13)


def test_the_whole_image_is_squeezed():
    pixels = to_pixels(position_image(16, 200), (16, 20), 3, Crop("none"))
    assert abs(pixels[1, 0].astype(int) - (10 * np.arange(20) + 4.5)).max() <= 2
    assert np.array_equal(pixels[0, :, 7], np.arange(16))


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        position_image(24 + number, 60).save(tmp_path / f"{number}.png")
    position_image(120, 90).save(tmp_path / "photo.jpg", quality=95)
    return tmp_path


@pytest.mark.parametrize("limit", [0, 2**31])
@pytest.mark.parametrize("kind", ["random", "random_resized"])
def test_random_crops_are_a_function_of_the_position_alone(folder, kind, limit):
    images = open_images(folder, (8, 8), 3, crop=Crop(kind, 0.5), memory_limit=limit)
    whole = read_batch(images, 5, 0, 28)
    again = open_images(folder, (8, 8), 3, crop=Crop(kind, 0.5), memory_limit=limit)
    for start, count in ((9, 1), (3, 11), (20, 8)):
        assert np.array_equal(read_batch(again, 5, start, count), whole[start : start + count])
    assert not np.array_equal(read_batch(images, 6, 0, 28), whole)
    # Seven images in each epoch, cut in another place (nearly) each time.
    assert len({image.tobytes() for image in whole}) > 20


def test_pictures_to_look_at_are_cut_from_the_middle(folder):
    plain = open_images(folder, (8, 8), 3)
    images = open_images(folder, (8, 8), 3, crop=Crop("random"))
    assert np.array_equal(images.batch(np.arange(6)), plain.batch(np.arange(6)))


def test_a_folder_squeezed_is_the_same_in_memory_and_streamed(folder):
    memory, streamed = (
        open_images(folder, (8, 8), 3, crop=Crop("none"), memory_limit=m) for m in (2**31, 0)
    )
    batch = memory.batch(np.arange(7))
    assert np.array_equal(batch, streamed.batch(np.arange(7)))
    assert batch[0, 1, 0, -1] > 50  # the right edge is there


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        (lambda: Crop("middle"), "crop 'middle'"),
        (lambda: Crop("random_resized", 0.0), r"crop_min_share 0\.0 must be more than 0"),
        (lambda: Crop("center", 1.5), r"crop_min_share 1\.5"),
        (lambda: open_images("digits", (8, 8), 1, crop=Crop("random")), "crop 'random' needs a"),
        (
            lambda: open_images(np.zeros((2, 1, 8, 8)), (8, 8), 1, crop=Crop("none")),
            "crop 'none' needs a folder of images or a MindRecord file",
        ),
    ],
)
def test_bad_crops_are_refused(crop, message):
    with pytest.raises(ValueError, match=message):
        crop()
