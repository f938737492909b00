"""Folders of pictures with lists of captions, as people have them: real files, all their faults."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ddpm_mindspore.accelerated.config import TrainerConfig
from ddpm_mindspore.accelerated.data import Images, open_images, read_items
from ddpm_mindspore.accelerated.data.left_out import Kind, left_out_text
from ddpm_mindspore.accelerated.randomness import Purpose, uniform


def draw(folder: Path, *names: str) -> None:
    """Pictures of one level each: 10, 20, ..."""
    for number, name in enumerate(names, 1):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), 10 * number).save(folder / name)


def opened(folder: Path, encoding: str | None = "utf-8", **options: Any) -> Images:
    return open_images(folder, (4, 4), 1, caption_encoding=encoding, **options)


def told(images: Images) -> dict[int, list[str]]:
    """All captions by the level of their picture."""
    levels = images.batch(np.arange(images.places))[:, 0, 0, 0].tolist()
    return {level: list(images.captions(place)) for place, level in enumerate(levels)}


def kinds(images: Images) -> Counter[Kind]:
    return Counter(item.kind for item in images.left_out)


LISTS = {
    "dir,text": ("a.csv", "dir,text\nx.png,一只猫\nsub/y.png,一只狗\n"),
    "Hugging Face": (
        "metadata.jsonl",
        '{"file_name": "x.png", "text": "一只猫"}\n\n{"text": "一只狗", "file_name": "sub/y.png"}',
    ),
    "Hugging Face's other": (
        "metadata.csv",
        "file_name,text\r\nx.png,一只猫\r\nsub/y.png,一只狗\r\n",
    ),
    "tabs and capitals": ("a.tsv", "Text\tn\tDir\n一只猫\t1\t./x.png\n一只狗\t2\tsub\\y.png\n"),
    "old lines": ("a.csv", "text,path\r一只猫,x.png\r一只狗,sub/y.png"),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_of_every_kind_are_read(tmp_path: Path, name: str) -> None:
    draw(tmp_path, "x.png", "sub/y.png")
    file, text = LISTS[name]
    (tmp_path / file).write_bytes(text.encode())
    images = opened(tmp_path)
    assert told(images) == {10: ["一只猫"], 20: ["一只狗"]}
    assert images.captioned and images.left_out == []


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        *(("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-8-sig", "gbk"), ("gbk", "gbk")),
        *(("gb18030", "gb18030"), ("big5", "big5"), ("utf-16", "utf-16")),
    ],
)
def test_an_encoding_that_is_named_is_read(tmp_path: Path, written: str, asked: str) -> None:
    draw(tmp_path, "x.png")
    text = "一朵花在水中，很美，很香，很好"
    (tmp_path / "a.csv").write_bytes(f"dir,text\nx.png,{text}\n".encode(written))
    assert told(opened(tmp_path, asked)) == {10: [text]}


@pytest.mark.parametrize(
    ("written", "asked", "message"),
    [
        (
            "gbk",
            "utf-8",
            r"a\.csv' are not in utf-8 \(byte 0xb6 at 17\): .* --caption-encoding gbk",
        ),
        ("utf-16", "utf-8", r"\(byte 0xff at 0\): .* --caption-encoding utf-16"),
        ("big5", "ascii", r"not in ascii \(byte 0xa4 at 15\)"),
        ("utf-8", "gbk", r"not in gbk but in UTF-8: give --caption-encoding utf-8"),
    ],
)
def test_another_encoding_is_refused(
    tmp_path: Path, written: str, asked: str, message: str
) -> None:
    draw(tmp_path, "x.png")
    text = "dir,text\nx.png,一朵花在水中，很美，很香，很好\n"
    (tmp_path / "a.csv").write_bytes(text.encode(written))
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, asked)


def test_json_lines_in_gbk_are_refused_too(tmp_path: Path) -> None:
    draw(tmp_path, "x.png")
    row = json.dumps({"file_name": "x.png", "text": "誠實"}, ensure_ascii=False)
    (tmp_path / "a.jsonl").write_bytes(row.encode("gbk"))
    with pytest.raises(ValueError, match=r"a\.jsonl' are not in utf-8 \(byte 0x"):
        opened(tmp_path)
    assert told(opened(tmp_path, "gbk")) == {10: ["誠實"]}


def test_commas_quotes_and_lines_are_part_of_a_caption(tmp_path: Path) -> None:
    draw(tmp_path, "x.png", "y, z.png")
    rows = 'dir,text\nx.png,"红,黄\n他说 ""好"""\n"y, z.png",  蓝  \n'
    (tmp_path / "a.csv").write_text(rows, encoding="utf-8")
    assert told(opened(tmp_path)) == {10: ['红,黄\n他说 "好"'], 20: ["蓝"]}
    (tmp_path / "a.csv").write_text('dir,text\nx.png,"红\ny.png,蓝\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.csv' cannot be read on from line 2: .* quotation"):
        opened(tmp_path)


def test_of_several_captions_each_showing_says_one(tmp_path: Path) -> None:
    draw(tmp_path, "x.png", "y.png")
    (tmp_path / "a.csv").write_text("dir,text\nx.png,a\nx.png,b\ny.png,c\n", encoding="utf-8")
    lines = '{"file_name": "x.png", "caption": ["d", "e"]}\n'
    (tmp_path / "b.jsonl").write_text(lines, encoding="utf-8")
    for limit in (0, 2**20):
        images = opened(tmp_path, memory_limit=limit)
        assert told(images) == {10: ["a", "b", "d", "e"], 20: ["c"]}
        items = read_items(images, 3, 10, 60)
        numbers = uniform(3, Purpose.CAPTION, 0, range(10, 70), 1)[:, 0]
        for level, said, number in zip(
            items.x[:, 0, 0, 0], items.captions or (), numbers, strict=True
        ):
            assert said == ("c" if level == 20 else "abde"[int(4 * number)])
        assert set(items.captions or ()) == set("abcde")
        assert read_items(images, 3, 21, 5).captions == list(items.captions or ())[11:16]


def test_what_does_not_fit_together_is_named_and_counted(tmp_path: Path) -> None:
    draw(tmp_path, "x.png", "y.png", "z.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    rows = (
        *(
            "dir,text",
            "x.png,猫",
            "gone.png,鸟",
            "y.png,",
            "x.png,猫",
            "y.png",
            ",狗",
            "../x.png,鱼",
        ),
        *("broken.png,花", "y.png,狗"),
    )
    file = tmp_path / "a.csv"
    file.write_text("\n".join(rows), encoding="utf-8")
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    images = opened(tmp_path)
    assert told(images) == {10: ["猫"], 20: ["狗"]}
    found = {Path(item.path).name: (item.why, item.kind) for item in images.left_out}
    assert found == {
        "a.csv:3": ("no picture 'gone.png'", Kind.UNSHOWN),
        "a.csv:4": ("an empty caption", Kind.ROW),
        "a.csv:5": ("said before of the same picture", Kind.ROW),
        "a.csv:6": ("an empty caption", Kind.ROW),
        "a.csv:7": ("names no picture", Kind.ROW),
        "a.csv:8": ("no picture '../x.png'", Kind.UNSHOWN),
        "broken.png": ("not an image that Pillow can read", Kind.BROKEN),
        "z.png": ("no caption", Kind.UNTOLD),
        "notes.csv": ("no image by its name", Kind.COMPANION),
    }
    said = left_out_text(images.left_out)
    assert "1 that cannot be decoded" in said and "1 picture without a caption" in said
    assert f"2 captions of no picture (such as {file}:3: no picture 'gone.png')" in said
    assert f"4 rows of captions (such as {file}:4: an empty caption)" in said
    with pytest.raises(ValueError, match=r"a\.csv:3' names the picture 'gone\.png', which is not"):
        opened(tmp_path, strict=True)


def test_without_being_asked_captions_are_left_alone(tmp_path: Path) -> None:
    draw(tmp_path, "x.png", "y.png")
    (tmp_path / "a.csv").write_bytes("dir,text\nx.png,猫\n".encode("gbk"))
    images = opened(tmp_path, None)
    assert len(images) == 2 and not images.captioned
    assert read_items(images, 0, 0, 2).captions is None


def test_fetched_pictures_are_found_by_their_url_or_their_row(tmp_path: Path) -> None:
    """The two 1.jpg cannot be told apart by their URL; row 10,000 is in the second folder."""
    draw(
        tmp_path, "%E7%8C%AB.png", "花.png", "00000/000000002.jpg", "00001/000010001.webp", "1.jpg"
    )
    urls = ["http://a/x/%E8%8A%B1.png?w=3,花", "http://a/1.jpg,甲", "http://b/1.jpg,乙"]
    (tmp_path / "0.csv").write_text("\n".join(["url,caption", *urls]), encoding="utf-8")
    more = ["http://c/gone,丙"] * 9998 + ["http://c/,丁"]
    (tmp_path / "1.csv").write_text("\n".join(["url,caption", *more]), encoding="utf-8")
    images = opened(tmp_path)
    said = {name: list(images.captions(place)) for place, name in enumerate(images.names)}
    assert said == {"花.png": ["花"], "00000/000000002.jpg": ["乙"], "00001/000010001.webp": ["丁"]}
    assert kinds(images)[Kind.UNTOLD] == 2 and kinds(images)[Kind.UNSHOWN] == 9999


def test_a_list_in_a_sub_folder_speaks_of_that_folder(tmp_path: Path) -> None:
    composed = unicodedata.normalize("NFC", "é.png")
    draw(tmp_path, "train/x.png", "train/" + unicodedata.normalize("NFD", composed), "x.png")
    rows = f"file_name,text\nx.png,a\n{composed},b\n{tmp_path}/x.png,c\n"
    (tmp_path / "train/metadata.csv").write_text(rows, encoding="utf-8")
    assert sorted(told(opened(tmp_path)).values()) == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, r"has no captions: put a CSV file into it with the columns dir,text"),
        ("a.png,猫\n", r"has no captions: .*; a\.csv is none: its columns are 'a\.png, "),
        ("dir,text\nb.png,猫\n", r"none of the captions in .* \(no picture 'b\.png'\)"),
        ("dir,text\na.png,\n", r"none of the captions in .* \(they are all empty\)"),
    ],
)
def test_a_folder_of_which_nothing_is_said_is_refused(
    tmp_path: Path, rows: str | None, message: str
) -> None:
    draw(tmp_path, "a.png")
    if rows is not None:
        (tmp_path / "a.csv").write_text(rows, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        opened(tmp_path)


def test_captions_are_for_folders_and_encodings_have_names(tmp_path: Path) -> None:
    for source in ("digits", "scenes", np.zeros((2, 1, 4, 4), np.uint8)):
        with pytest.raises(ValueError, match="caption_encoding 'gbk' is for a folder of pictures"):
            open_images(source, (4, 4), 1, caption_encoding="gbk")
    for wrong in ("gkb", "hex"):
        with pytest.raises(ValueError, match=f"^caption_encoding '{wrong}' is no encoding that"):
            TrainerConfig(caption_encoding=wrong)
        with pytest.raises(ValueError, match="is no encoding that Python knows"):
            opened(tmp_path, wrong)
    assert TrainerConfig(caption_encoding="utf-16").caption_encoding == "utf-16"


def test_broken_pictures_are_replaced_with_their_captions(tmp_path: Path) -> None:
    draw(tmp_path, "x.png", "y.png", "z.png")
    rows = "dir,text\nx.png,10\ny.png,20\nz.png,30\n"
    (tmp_path / "a.csv").write_text(rows, encoding="utf-8")
    images = opened(tmp_path, memory_limit=0)
    (tmp_path / "y.png").write_bytes(b"")
    items = read_items(images, 0, 0, 30)
    assert [str(level) for level in items.x[:, 0, 0, 0]] == items.captions
    assert set(items.captions or ()) == {"10", "30"}
