"""What of a folder is no training image, and how that is said."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.data import note_broken, open_images, report
from ddpm_mindspore.accelerated.data.left_out import FILE, Kind, LeftOut, left_out_text
from ddpm_mindspore.accelerated.runs.own import DRAWN, RUN

OWN = json.dumps({"version": 1, "versions": {"ddpm-mindspore": "0.1.0"}})


@pytest.fixture(params=[2**31, 0], ids=["in_memory", "streamed"])
def limit(request: pytest.FixtureRequest) -> int:
    """Bytes of memory: everything must hold in memory and streamed."""
    return int(request.param)


def write(path: Path, kind: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 7), "red").save(path, kind)
    return path


def kinds(images: object) -> dict[str, str]:
    """The names of what is left out, and their kinds."""
    return {Path(path).name: kind.name for path, _, kind in images.left_out}  # type: ignore[attr-defined]


def test_the_content_decides_and_not_the_ending(tmp_path: Path, limit: int) -> None:
    for name, kind in [
        ("photo", "PNG"),
        ("photo.dat", "JPEG"),
        ("wrong.png", "JPEG"),
        ("a.b.C", "WEBP"),
        ("right.tga", None),
    ]:
        write(tmp_path / name, kind)
    write(tmp_path / "raw.nef", "TIFF")
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "movie.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (tmp_path / "noise").write_bytes(np.random.default_rng(0).bytes(20000))
    (tmp_path / "LICENSE").write_text("für alle", encoding="utf-8")
    (tmp_path / "notes").write_bytes(b"x" * 4095 + "ü".encode())  # cut within a character
    (tmp_path / "caption.txt").write_text("red")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(100))
    images = open_images(tmp_path, (4, 4), 3, memory_limit=limit)
    assert list(images.names) == ["a.b.C", "photo", "photo.dat", "right.tga", "wrong.png"]
    assert kinds(images) == {
        "text.png": "BROKEN",
        **dict.fromkeys(["raw.nef", "movie.mp4", "phone.heic", "noise"], "FOREIGN"),
        **dict.fromkeys(["LICENSE", "notes", "caption.txt", "Thumbs.db"], "COMPANION"),
    }
    assert [path for path, _ in images.skipped] == [str(tmp_path / "text.png")]
    assert ".tif has it read" in dict(i[:2] for i in images.left_out)[str(tmp_path / "raw.nef")]


@pytest.mark.parametrize(
    ("name", "content", "refused"),
    [
        ("text.png", b"no image", True),
        ("empty.png", b"", True),
        ("phone.heic", b"\0\0\0\x18ftypheic" + bytes(100), True),
        ("noise", bytes(range(256)), True),
        ("README", b"text", False),
        ("labels.csv", b"a,b", False),
        ("odd.json", bytes(range(256)), False),
        ("Thumbs.db", bytes(100), False),
        (".DS_Store", bytes(100), False),
    ],
)
def test_strict_refuses_what_is_neither_an_image_nor_text(
    tmp_path: Path, limit: int, name: str, content: bytes, refused: bool
) -> None:
    write(tmp_path / "a.png")
    (tmp_path / name).write_bytes(content)
    if refused:
        with pytest.raises(ValueError, match=rf"{name}' cannot be decoded: "):
            open_images(tmp_path, (4, 4), 3, memory_limit=limit, strict=True)
    else:
        assert len(open_images(tmp_path, (4, 4), 3, memory_limit=limit, strict=True)) == 1


def test_runs_and_drawings_are_no_data(tmp_path: Path, limit: int) -> None:
    write(tmp_path / "a.png")
    for run, own in [("results", RUN), ("deep/down/run", RUN), ("drawn", DRAWN)]:
        write(tmp_path / run / "samples/step-00000001.png")
        write(tmp_path / run / "grid.png")
        (tmp_path / run / own).write_text(OWN)
    write(tmp_path / "web/b.png")
    (tmp_path / "web" / RUN).write_text('{"version": 1}')  # someone else's
    images = open_images(tmp_path, (4, 4), 3, memory_limit=limit)
    assert list(images.names) == ["a.png", "web/b.png"]
    assert [kind for _, _, kind in images.left_out].count(Kind.OWN) == 3
    assert "3 that this program wrote" in left_out_text(images.left_out)


def test_a_run_may_lie_in_the_data_folder_itself(tmp_path: Path, limit: int) -> None:
    """As with --data . --results-folder ., which has to go on after the first session too."""
    write(tmp_path / "a.png")
    write(tmp_path / "more/samples/b.png")
    before = open_images(tmp_path, (4, 4), 3, memory_limit=limit).names
    (tmp_path / RUN).write_text(OWN)
    for own in ("samples/step-00000001.png", "loss.png", "drawn/grid.png", "checkpoints/x.png"):
        write(tmp_path / own)
    images = open_images(tmp_path, (4, 4), 3, memory_limit=limit)
    assert list(images.names) == list(before) == ["a.png", "more/samples/b.png"]
    for own in ("samples", "drawn"):
        with pytest.raises(ValueError, match=rf"{own}' holds pictures that this program drew"):
            open_images(tmp_path / own, (4, 4), 3)


def test_hidden_and_system_folders_are_no_data(tmp_path: Path, limit: int) -> None:
    write(tmp_path / "a.png")
    for folder in (".thumbnails", "@eaDir", "__MACOSX", ".ipynb_checkpoints", "x/.git", "#recycle"):
        write(tmp_path / folder / "thumb.png")
    write(tmp_path / "._a.png")
    images = open_images(tmp_path, (4, 4), 3, memory_limit=limit)
    assert list(images.names) == ["a.png"]
    assert set(kinds(images).values()) == {"HIDDEN"} and len(images.left_out) == 7
    assert left_out_text(images.left_out) == "left out: 7 hidden or made by a system"


@pytest.mark.parametrize("target", [".", "..", "sub", "/"])
def test_links_that_lead_back_are_not_followed(tmp_path: Path, limit: int, target: str) -> None:
    """Not to a folder above either: what lies beside the data would come with it."""
    root = tmp_path / "data"
    write(root / "sub/a.png")
    write(tmp_path / "beside.png")
    (root / "zlink").symlink_to(target)
    (root / "sub/self").symlink_to("self")
    images = open_images(root, (4, 4), 3, memory_limit=limit)
    assert list(images.names) == ["sub/a.png"]
    assert kinds(images) == {"zlink": "LINK", "self": "FOREIGN"}


def test_the_line_counts_by_kind(tmp_path: Path) -> None:
    items = [LeftOut(f"{n}.png", "an empty file") for n in range(12)]
    items += [LeftOut(name, "", Kind.FOREIGN) for name in ("a.heic", "b.HEIC")]
    items += [LeftOut("c.txt", "", Kind.COMPANION), LeftOut(".git", "hidden", Kind.HIDDEN)]
    assert left_out_text(items) == (
        "left out: 12 that cannot be decoded (such as 0.png: an empty file), "
        "3 that are no images (.heic 2, .txt 1), 1 hidden or made by a system"
    )
    assert left_out_text([]) == ""
    many = [LeftOut(f"x.{n}", "", Kind.FOREIGN) for n in "abcdefgg"] + items[14:15]
    assert left_out_text(many).endswith("(.g 2, .a 1, .b 1, .c 1, .d 1, others 3)")
    assert left_out_text(items[:1]) == ("left out: 1 that cannot be decoded (0.png: an empty file)")
    assert left_out_text([LeftOut("README", "", Kind.COMPANION)]) == (
        "left out: 1 that is no image (no ending 1)"
    )


def rows(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / FILE).read_text("ascii").splitlines()]


def test_all_are_named_in_a_file_whatever_their_bytes(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    write(data / "a.png")
    run.mkdir()
    names = [b"\xff\xfe.png", b'new\nline".png', "é😀.png".encode(), b"b.txt"]
    for name in names:
        Path(os.fsdecode(bytes(data) + b"/" + name)).touch()
    images = open_images(data, (4, 4), 3)
    told = report(images, run)
    assert told.endswith(f"; all are named in {run / FILE}") and "\n" not in told.partition("(")[0]
    assert {os.fsencode(Path(row["path"]).name) for row in rows(run)} == set(names)
    assert {row["why"] for row in rows(run)} == {"an empty file", "no image by its name"}
    note_broken(run, [("later.png", "torn")])
    assert rows(run)[-1] == {"path": "later.png", "why": "torn", "kind": "cannot be decoded"}
    # The next session tells what it leaves out itself.
    for path in data.iterdir():
        if path.name != "a.png":
            path.unlink()
    assert report(open_images(data, (4, 4), 3), run) == ""
    assert not (run / FILE).exists()


def test_a_file_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    write(tmp_path / "data/a.png")
    (tmp_path / "data/b.png").touch()
    images = open_images(tmp_path / "data", (4, 4), 3)
    nowhere = tmp_path / "nowhere"
    assert f"({FILE} cannot be written: No such file or directory)" in report(images, nowhere)
    note_broken(nowhere, images.skipped)
    assert not nowhere.exists()
    assert FILE not in report(images, None)


def test_what_was_only_looked_at_is_said(tmp_path: Path, limit: int) -> None:
    write(tmp_path / "a.png")
    told = report(open_images(tmp_path, (4, 4), 3, memory_limit=limit), None)
    assert ("only the beginning and the end were looked at" in told) == (limit == 0)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "webp"])
def test_a_glance_sees_files_that_were_cut_or_filled_with_zeros(
    tmp_path: Path, ending: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    for name, pixels in zip(("whole", "cut", "more"), noise, strict=True):
        Image.fromarray(pixels).save(tmp_path / f"{name}.{ending}")
    whole = (tmp_path / f"whole.{ending}").read_bytes()
    half = len(whole) // 2
    (tmp_path / f"cut.{ending}").write_bytes(whole[:half])
    (tmp_path / f"more.{ending}").write_bytes(whole + b"a film")
    (tmp_path / f"zeros.{ending}").write_bytes(whole[:half] + bytes(len(whole) - half))
    images = open_images(tmp_path, (8, 8), 3, memory_limit=0)
    truth = open_images(tmp_path, (8, 8), 3)
    assert f"cut.{ending}" not in images.names and f"more.{ending}" in images.names
    if ending in ("png", "jpg"):  # the others' last bytes say no more than that all are there
        assert list(images.names) == list(truth.names)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "data '' must be the path of a file or folder"),
        ("ndarray", "data 'ndarray' is no folder, but what the run was given in Python"),
        ("GeneratorDataset", "data 'GeneratorDataset' is no folder, but what the run was given"),
        ("~nobody-at-all/x", "data folder '~nobody-at-all/x' does not exist"),
        ("x" * 300, "data folder 'x*' cannot be read: File name too long"),
    ],
)
def test_paths_that_name_nothing(data: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_images(data, (4, 4), 3)


def test_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "photos/a.png")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(open_images("~/photos", (4, 4), 3, cache="~/cache")) == 1
    assert (tmp_path / "cache").is_dir()
    with pytest.raises(ValueError, match="data_cache '' must be the path of a file or folder"):
        open_images("~/photos", (4, 4), 3, cache="")


def test_values_just_outside_are_named_exactly() -> None:
    images = np.full((2, 3, 4, 4), np.nextafter(np.float32(1), np.float32(2)))
    with pytest.raises(
        ValueError, match=r"values from 1\.0000001 to 1\.0000001: give floats in \["
    ):
        open_images(images, (4, 4), 3)
    images[0] = -1e-9
    with pytest.raises(ValueError, match=r"values from -1e-09 to 1\.0000001: "):
        open_images(images, (4, 4), 3)
