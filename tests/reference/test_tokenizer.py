"""Chinese sentences as numbers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ddpm_mindspore.reference.text.tokenizer import (
    SHIPPED,
    Tokenizer,
    read_vocabulary,
    shipped,
    words,
)


def ids(text: str, length: int = 77) -> list[int]:
    """The row without its padding."""
    row = shipped().encode(text, length).ids.tolist()
    end = row.index(102) + 1
    assert row[end:] == [0] * (length - end)
    return row[:end]


def test_the_vocabulary_is_that_of_chinese_bert() -> None:
    digest = hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    assert digest == "45bbac6b341c319adc98a532532882e91a9cefc0329aa57bac9ae761c27b291c"
    vocabulary = shipped().vocabulary
    assert len(vocabulary) == shipped().size == 21_128
    known = {
        "[PAD]": 0, "[unused1]": 1, "[unused99]": 99, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102,
        "[MASK]": 103, "一": 671, "猫": 4344, "，": 8024, "。": 511, "a": 143, "1": 122,
        "##a": 8139, "\u2028": 343,
    }  # fmt: skip
    assert {piece: vocabulary[piece] for piece in known} == known


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n\r\u3000\u2028", []),
        ("一猫。", [671, 4344, 511]),
        ("一 猫", [671, 4344]),
        ("A1", "a1"),
        ("一a1猫", [671, shipped().vocabulary["a1"], 4344]),
        ("Ａ", "ａ"),
        ("é", "e"),
        ("É\u0301", "e"),
        ("x\x00\ufffd\u200b\x07y", "x ##y"),
        ("，a", [8024, 143]),
        ("[CLS]", "[ cl ##s ]"),
        ("[UNK]", "[ u ##nk ]"),
        ("playing", "play ##ing"),
        ("unaffable", "u ##na ##ff ##able"),
        ("\u0301", []),
        ("<|startoftext|>", "< | start ##of ##text | >"),
    ],
)
def test_ids(text: str, expected: Any) -> None:
    if isinstance(expected, str):
        expected = [shipped().vocabulary[piece] for piece in expected.split()]
    assert ids(text) == [101, *expected, 102]


def test_words_are_lower_case_without_accents_and_punctuation_stands_alone() -> None:
    assert [*words("Ça  va?《猫》ΣΑΣ $5")] == ["ca", "va", "?", "《", "猫", "》", "σας", "$", "5"]


def test_a_text_that_is_too_long_loses_its_end() -> None:
    assert ids("一" * 75) == [101, *[671] * 75, 102]
    assert shipped().encode("一" * 75).cut == 0
    row = shipped().encode("一" * 75 + "猫猫")
    assert row.ids.tolist() == [101, *[671] * 75, 102]
    assert row.cut == 2
    assert len(row.pieces) == 77
    assert ids("猫猫", 2) == [101, 102]
    assert ids("猫猫", 3) == [101, 4344, 102]


def test_what_is_unknown_is_named_once() -> None:
    row = shipped().encode("嗮猫噘 x嗮 ﷽ 嗮")
    assert row.unknown == ("嗮", "噘", "﷽")
    assert row.pieces == ("[UNK]", "猫", "[UNK]", "x", "[UNK]", "[UNK]", "[UNK]")
    long = "a" * 101
    assert shipped().encode(long).unknown == (long,)
    assert shipped().encode("a" * 100).unknown == ()


def test_a_word_without_pieces_is_named_where_it_has_all_characters() -> None:
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5, "##a": 6}
    tokenizer = Tokenizer(vocabulary)
    assert tokenizer.encode("aab").unknown == ("aab",)
    assert tokenizer.encode("aaa b").pieces == ("a", "##a", "##a", "b")


def test_rows() -> None:
    rows = shipped().rows(["一", "", "猫"], 4)
    assert rows.dtype == np.int32
    assert rows.tolist() == [[101, 671, 102, 0], [101, 102, 0, 0], [101, 4344, 102, 0]]
    assert shipped().rows([], 4).shape == (0, 4)


def test_what_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(TypeError, match="text 3 is of type int: give a str"):
        shipped().encode(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="length 1 must be at least 2"):
        shipped().encode("一", 1)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[PAD]\n景\n".encode("gbk"), "line 2: b'\\xbe\\xb0' is not UTF-8: convert the file"),
        (b"a\n\nb\n", "line 2 is empty"),
        (b"a\nb\na\n", "line 3: 'a' is there already, in line 1"),
        (b"", "line 1 is empty"),
    ],
)
def test_a_vocabulary_that_cannot_be_meant(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError) as refused:
        read_vocabulary(path)
    assert told in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_vocabulary_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(b"\xef\xbb\xbf[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n" + "猫".encode())
    assert Tokenizer(read_vocabulary(path)).rows(["猫狗"], 5).tolist() == [[2, 4, 1, 3, 0]]
    with pytest.raises(FileNotFoundError, match="does not exist: give a text file"):
        read_vocabulary(tmp_path / "none.txt")
    with pytest.raises(ValueError, match=r"the vocabulary has no \[SEP\]"):
        Tokenizer({"[PAD]": 0, "[UNK]": 1, "[CLS]": 2})
