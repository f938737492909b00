from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from mindspore import dataset as ds
from PIL import Image

from ddpm_mindspore.accelerated.data import mindspore_datasets, open_images, read_batch
from ddpm_mindspore.accelerated.data.crops import Crop
from ddpm_mindspore.accelerated.randomness import batch_indices
from ddpm_mindspore.accelerated.system.runtime import select_device  # before MindSpore, as it asks

ALL = {"in_memory": 2**31, "streamed": 0}
PHOTOS = np.random.default_rng(0).integers(0, 256, (10, 8, 6, 3), dtype=np.uint8)


@pytest.fixture(autouse=True, scope="module")
def device():
    select_device("CPU")


@pytest.fixture(params=ALL.values(), ids=ALL.keys())
def limit(request):
    """Bytes of memory: everything must hold in memory and streamed."""
    return request.param


class Source:
    """A random-access source of (label, picture) rows."""

    def __init__(self, pictures):
        self.pictures = pictures

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        return np.int32(index), self.pictures[index]


def generator(pictures, *, shuffle=False, names=("label", "image")):
    return ds.GeneratorDataset(
        Source(pictures), list(names), shuffle=shuffle, python_multiprocessing=False
    )


def as_set(batch) -> set[bytes]:
    return {image.tobytes() for image in batch}


def everything(images) -> np.ndarray:
    return images.batch(np.arange(images.places))


def nchw(pictures) -> np.ndarray:
    return np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))


@pytest.fixture(scope="module")
def cifar(tmp_path_factory):
    """CIFAR-10's binary form: 10,000 images, for each a label byte and 3 x 32 x 32 bytes."""
    folder = tmp_path_factory.mktemp("cifar")
    images = np.random.default_rng(1).integers(0, 256, (20, 3, 32, 32), dtype=np.uint8)
    rows = np.concatenate([np.arange(20, dtype=np.uint8)[:, None] % 10, images.reshape(20, -1)], 1)
    (folder / "data_batch_1.bin").write_bytes(rows.tobytes())
    os.truncate(folder / "data_batch_1.bin", 10_000 * 3073)
    return str(folder), images


@pytest.fixture(scope="module")
def mindrecord(tmp_path_factory):
    """A MindRecord of encoded PNG files, as its documentation advises to store images."""
    from mindspore.mindrecord import FileWriter

    file = str(tmp_path_factory.mktemp("mindrecord") / "photos.mindrecord")
    writer = FileWriter(file, shard_num=1)
    writer.add_schema({"label": {"type": "int32"}, "data": {"type": "bytes"}}, "photos")
    for number, photo in enumerate(PHOTOS):
        encoded = io.BytesIO()
        Image.fromarray(photo).save(encoded, "PNG")
        writer.write_raw_data([{"label": number, "data": encoded.getvalue()}])
    writer.commit()
    return file


def test_cifar10_dataset(cifar, limit):
    folder, truth = cifar
    dataset = ds.Cifar10Dataset(folder, num_samples=20, shuffle=False)
    images = open_images(dataset, (32, 32), 3, memory_limit=limit)
    assert len(images) == 20 and images.shape == (3, 32, 32)
    assert as_set(everything(images)) == as_set(truth)
    everything_small = everything(open_images(dataset, (8, 16), 1, memory_limit=limit))
    assert everything_small.shape == (20, 1, 8, 16)


def test_mind_dataset_of_encoded_files(mindrecord, limit):
    images = open_images(ds.MindDataset(mindrecord), (8, 6), 3, memory_limit=limit)
    assert as_set(everything(images)) == as_set(nchw(PHOTOS))


def write_mindrecord(path, files, **options) -> str:
    from mindspore.mindrecord import FileWriter

    writer = FileWriter(str(path), **options)
    writer.add_schema({"label": {"type": "int32"}, "data": {"type": "bytes"}}, "photos")
    writer.write_raw_data([{"label": i, "data": file} for i, file in enumerate(files)])
    writer.commit()
    return str(path)


def encode(photo, kind="PNG") -> bytes:
    encoded = io.BytesIO()
    Image.fromarray(photo).save(encoded, kind)
    return encoded.getvalue()


def test_mindrecord_file_by_its_path(mindrecord, limit):
    """In the order of its rows, so that it does not matter whether it fits into memory."""
    images = open_images(mindrecord, (8, 6), 3, memory_limit=limit)
    assert not images.sequential and len(images) == 10 and images.skipped == []
    assert np.array_equal(everything(images), nchw(PHOTOS))
    stream = [read_batch(images, 4, start, 7) for start in range(0, 28, 7)]
    whole = np.concatenate(stream)
    assert np.array_equal(whole, nchw(PHOTOS)[batch_indices(4, 10, 0, 28)])
    again = open_images(Path(mindrecord), (8, 6), 3, memory_limit=limit)
    assert np.array_equal(read_batch(again, 4, 13, 9), whole[13:22])
    assert np.array_equal(again.batch(np.array([2, 9, 2])), nchw(PHOTOS)[[2, 9, 2]])


def test_mindrecord_of_several_files(tmp_path, limit):
    write_mindrecord(tmp_path / "x.mindrecord", [encode(p) for p in PHOTOS], shard_num=3)
    images = open_images(tmp_path / "x.mindrecord1", (8, 6), 3, memory_limit=limit)
    assert as_set(everything(images)) == as_set(nchw(PHOTOS))


def test_mindrecord_of_arrays(tmp_path, limit):
    from mindspore.mindrecord import FileWriter

    writer = FileWriter(str(tmp_path / "a.mindrecord"))
    writer.add_schema({"image": {"type": "float32", "shape": [8, 6, 3]}}, "arrays")
    writer.write_raw_data([{"image": photo / np.float32(255)} for photo in PHOTOS])
    writer.commit()
    images = open_images(tmp_path / "a.mindrecord", (8, 6), 3, memory_limit=limit)
    assert np.array_equal(everything(images), nchw(PHOTOS))


def test_broken_rows_of_a_mindrecord_are_named_and_replaced(tmp_path, limit):
    files = [encode(photo) for photo in PHOTOS]
    files[3], files[9] = files[3][:90], b"no image"
    path = write_mindrecord(tmp_path / "b.mindrecord", files)
    images = open_images(path, (8, 6), 3, memory_limit=limit)
    good = [0, 1, 2, 4, 5, 6, 7, 8]
    shown = everything(images)
    assert np.array_equal(shown[good], nchw(PHOTOS)[good])
    assert as_set(shown[[3, 9]]) < as_set(nchw(PHOTOS)[good])
    assert (len(images), images.places) == (8, 10)
    assert [name for name, _ in images.skipped] == [f"row 3 of {path}", f"row 9 of {path}"]
    with pytest.raises(ValueError, match=r"row 3 of .* cannot be decoded"):
        everything(open_images(path, (8, 6), 3, memory_limit=limit, strict=True))


def test_files_that_end_with_zeros_are_whole(tmp_path, limit):
    """An uncompressed image of black pixels at the end: NumPy's bytes would drop these."""
    photo = PHOTOS[0].copy()
    photo[0] = 0  # a BMP stores the first row last
    path = write_mindrecord(tmp_path / "z.mindrecord", [encode(photo, "BMP")] * 2)
    for source in (path, ds.MindDataset(path), ds.MindDataset(path).batch(2)):
        images = open_images(source, (8, 6), 3, memory_limit=limit)
        assert np.array_equal(everything(images), nchw(np.stack([photo] * 2)))


def test_random_crops_of_a_mindrecord(tmp_path):
    wide = np.random.default_rng(2).integers(0, 256, (4, 8, 40, 3), dtype=np.uint8)
    path = write_mindrecord(tmp_path / "w.mindrecord", [encode(photo) for photo in wide])
    images = open_images(path, (8, 8), 3, crop=Crop("random"))
    read = read_batch(images, 0, 0, 12)
    assert len(as_set(read)) > 8
    assert np.array_equal(read_batch(images, 0, 5, 3), read[5:8])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"no MindRecord"), "MindRecord file .* cannot be read: "),
        (lambda path: Path(f"{path}.db").unlink(), "MindRecord file .* cannot be read: "),
        (lambda path: os.truncate(path, 100), "MindRecord file .* cannot be read: "),
    ],
)
def test_a_damaged_mindrecord_is_refused(tmp_path, damage, message):
    path = Path(write_mindrecord(tmp_path / "d.mindrecord", [encode(PHOTOS[0])]))
    damage(path)
    with pytest.raises(ValueError, match=message) as caught:
        open_images(path, (8, 6), 3)
    assert "\n" not in str(caught.value)


def test_a_mindrecord_whose_name_mindspore_does_not_take_is_refused(tmp_path):
    path = tmp_path / "\udcd6.mindrecord"
    path.touch()
    with pytest.raises(ValueError, match=r"'.*\\udcd6.mindrecord' has a name .*: rename it"):
        open_images(path, (8, 6), 3)


def test_a_mindrecord_without_images_or_classes_is_refused(tmp_path, mindrecord):
    from mindspore.mindrecord import FileWriter

    writer = FileWriter(str(tmp_path / "l.mindrecord"))
    writer.add_schema({"label": {"type": "int32"}}, "labels")
    writer.write_raw_data([{"label": 3}])
    writer.commit()
    with pytest.raises(ValueError, match=r"no column of .* holds images"):
        open_images(tmp_path / "l.mindrecord", (8, 6), 3)
    with pytest.raises(ValueError, match="only_class cat needs"):
        open_images(mindrecord, (8, 6), 3, only_class=["cat"])


@pytest.mark.parametrize("decoded", [False, True])
def test_image_folder_dataset(tmp_path, limit, decoded):
    for number, photo in enumerate(PHOTOS):
        (tmp_path / f"class{number % 2}").mkdir(exist_ok=True)
        Image.fromarray(photo).save(tmp_path / f"class{number % 2}/{number}.png")
    dataset = ds.ImageFolderDataset(str(tmp_path), decode=decoded)
    images = open_images(dataset, (8, 6), 3, memory_limit=limit)
    assert as_set(everything(images)) == as_set(nchw(PHOTOS))


@pytest.mark.parametrize(
    "pictures",
    [PHOTOS, nchw(PHOTOS), PHOTOS.astype(np.float32) / 255, nchw(PHOTOS) / 255],
    ids=["HWC", "CHW", "float32", "float64 CHW"],
)
def test_generator_dataset_in_every_layout(pictures, limit):
    images = open_images(generator(pictures), (8, 6), 3, memory_limit=limit)
    batch = everything(images)
    assert batch.dtype == np.uint8
    assert as_set(batch) == as_set(nchw(PHOTOS))


@pytest.mark.parametrize("pictures", [PHOTOS[..., 0], PHOTOS[..., :1], nchw(PHOTOS[..., :1])])
def test_grey_pictures_resized_in_colour(pictures, limit):
    images = open_images(generator(pictures), (4, 4), 3, memory_limit=limit)
    batch = everything(images)
    assert batch.shape == (10, 3, 4, 4)
    assert np.array_equal(batch[:, 0], batch[:, 1])
    means = PHOTOS[:, 1:7, :, 0].mean(axis=(1, 2))
    assert abs(np.sort(batch[:, 0].mean(axis=(1, 2))) - np.sort(means)).max() < 12


@pytest.mark.parametrize("pictures", [PHOTOS, PHOTOS[..., 0]], ids=["colour", "grey"])
def test_batches_are_taken_apart(pictures, limit):
    channels = 3 if pictures.ndim == 4 else 1
    dataset = generator(pictures).batch(4)
    images = open_images(dataset, (8, 6), channels, memory_limit=limit)
    assert len(images) == 10
    expected = pictures.reshape(10, 8, 6, channels)
    assert as_set(everything(images)) == as_set(nchw(expected))


def test_another_column_of_images_is_found(limit):
    dataset = generator(PHOTOS, names=("label", "picture"))
    assert len(open_images(dataset, (8, 6), 3, memory_limit=limit)) == 10


def test_memory_does_not_depend_on_the_order_of_a_shuffling_pipeline():
    first, second = (
        open_images(dataset, (8, 6), 3)
        for dataset in (generator(PHOTOS), generator(PHOTOS[::-1].copy(), shuffle=True))
    )
    assert not first.sequential
    assert np.array_equal(everything(first), everything(second))


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_stream_resumes_at_any_position(batch_size, shuffle):
    """Positions 0..29 are three epochs; the batches have other limits than the epochs."""
    seed = ds.config.get_seed()
    ds.config.set_seed(5)
    try:
        dataset = generator(PHOTOS, shuffle=shuffle)
        dataset = dataset.batch(batch_size) if batch_size > 1 else dataset
        whole = open_images(dataset, (8, 6), 3, memory_limit=0)
        assert whole.sequential and whole.skipped == []
        read = np.concatenate([read_batch(whole, 0, start, 6) for start in range(0, 30, 6)])
        for epoch in range(3):
            assert as_set(read[10 * epoch : 10 * epoch + 10]) == as_set(nchw(PHOTOS))
        assert np.array_equal(read[:10], read[10:20]) is not shuffle
        for start in (0, 3, 9, 10, 17):
            again = open_images(dataset, (8, 6), 3, memory_limit=0)
            assert np.array_equal(read_batch(again, 0, start, 5), read[start : start + 5])
            assert np.array_equal(read_batch(again, 0, start + 5, 2), read[start + 5 : start + 7])
        assert np.array_equal(read_batch(whole, 0, 2, 3), read[2:5])
    finally:
        ds.config.set_seed(seed)


def test_a_stream_is_read_in_order():
    images = open_images(generator(PHOTOS), (8, 6), 3, memory_limit=0)
    with pytest.raises(ValueError, match=r"read in order, not at \[3, 1\]"):
        images.batch(np.array([3, 1]))


def test_the_dataset_itself_stays_as_it_was():
    dataset = generator(PHOTOS)
    read_batch(open_images(dataset, (8, 6), 3, memory_limit=0), 0, 7, 2)
    rows = dataset.create_tuple_iterator(num_epochs=1, output_numpy=True)
    assert [int(label) for label, _ in rows] == list(range(10))
    assert dataset.batch(5).get_dataset_size() == 2


def once_only():
    """A source that has nothing left to give in a second epoch."""
    rows = iter(PHOTOS)
    return ds.GeneratorDataset(lambda: ((row,) for row in rows), ["image"])


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (lambda: generator(PHOTOS.astype(np.float32)), r"'image' has values from .*floats in \[0"),
        (lambda: generator(PHOTOS / 127.5 - 1), "'image' has values from -1.0 to 0.9"),
        (lambda: generator(PHOTOS.astype(np.int32)), "'image' has type int32: give uint8"),
        (
            lambda: generator(np.zeros((2, 8, 8, 7), np.uint8)),
            r"'image' has images of shape \(8, 8",
        ),
        (lambda: generator(np.zeros((2, 9), np.uint8)), "'image' cannot be decoded: not an image"),
        (lambda: generator(np.zeros((2, 5))), r"'image' has images of shape \(5,\)"),
        (
            lambda: ds.NumpySlicesDataset([1, 2], ["label"]),
            r"no column .* holds images \(label\): name the right one 'image'",
        ),
        (lambda: ds.GeneratorDataset(lambda: iter(()), ["image"]), "has no row"),
        (once_only, "has no row|delivers no more rows"),
    ],
)
def test_what_is_not_an_image_is_refused(dataset, message, limit):
    with pytest.raises(ValueError, match=message):
        everything(open_images(dataset(), (8, 6), 3, memory_limit=limit))


def test_image_files_in_a_dataset_that_break_are_named_and_replaced(tmp_path, limit):
    files = [encode(photo) for photo in PHOTOS]
    files[3], files[9] = files[3][:90], b"no image"
    path = write_mindrecord(tmp_path / "b.mindrecord", files)
    dataset = ds.MindDataset(path, shuffle=False)
    images = open_images(dataset, (8, 6), 3, memory_limit=limit)
    if limit:
        assert as_set(everything(images)) == as_set(nchw(PHOTOS)[[0, 1, 2, 4, 5, 6, 7, 8]])
    else:
        good = [position for position in range(60) if position % 10 not in (3, 9)]
        shown = read_batch(images, 0, 0, 60)
        assert np.array_equal(shown[good], np.tile(nchw(PHOTOS), (6, 1, 1, 1))[good])
        stand_ins = np.delete(shown, good, axis=0)
        assert len(as_set(stand_ins)) > 4 and as_set(stand_ins) < as_set(shown[good])
        for size in (1, 3, 5, 15):  # the size of a batch makes no difference
            batches = [read_batch(images, 0, start, size) for start in range(0, 60, size)]
            assert np.array_equal(np.concatenate(batches), shown)
            again = open_images(dataset, (8, 6), 3, memory_limit=0)  # nor where one goes on
            assert np.array_equal(read_batch(again, 0, 28, size), shown[28 : 28 + size])
    assert [name for name, _ in images.skipped] == [
        "image 3 of the MindSpore dataset",
        "image 9 of the MindSpore dataset",
    ]
    with pytest.raises(ValueError, match=r"'image 3 of .*' cannot be decoded: .*; remove it"):
        everything(open_images(dataset, (8, 6), 3, memory_limit=limit, strict=True))


def test_a_stream_of_broken_files_goes_on_with_the_next_block_that_has_any(monkeypatch):
    monkeypatch.setattr(mindspore_datasets, "_BLOCK_BYTES", 4 * 8 * 6 * 3)  # four images
    files = [encode(photo) for photo in PHOTOS]
    files[3:9] = [b"no image"] * 6
    source = [np.frombuffer(file, np.uint8) for file in files]
    dataset = ds.GeneratorDataset([(file,) for file in source], ["image"], shuffle=False)
    images = open_images(dataset, (8, 6), 3, memory_limit=0)
    shown = read_batch(images, 0, 0, 200)
    blocks = [as_set(shown[start : start + 4]) for start in range(0, 200, 4)]
    assert blocks[0] == as_set(nchw(PHOTOS)[:3])  # 3 is one of 0, 1 and 2
    assert blocks[1] <= as_set(nchw(PHOTOS)[[9, 0, 1]])  # 4 to 7: of the block from 8 on
    assert as_set(shown[14:19]) <= as_set(nchw(PHOTOS)[[2, 9, 0, 1]])
    for start in (0, 5, 10, 118):
        again = open_images(dataset, (8, 6), 3, memory_limit=0)
        assert np.array_equal(read_batch(again, 0, start, 50), shown[start : start + 50])
    nothing = ds.GeneratorDataset([(source[4],)] * 9, ["image"], shuffle=False)
    with pytest.raises(ValueError, match="column 'image' cannot be decoded: not an image"):
        read_batch(open_images(nothing, (8, 6), 3, memory_limit=0), 0, 0, 2)


def test_the_cache_serves_mindrecord_files_too(tmp_path, mindrecord, limit):
    for _ in range(2):
        images = open_images(mindrecord, (8, 6), 3, memory_limit=limit, cache=tmp_path)
        assert np.array_equal(everything(images), nchw(PHOTOS))
    assert len(list(tmp_path.iterdir())) == 1
