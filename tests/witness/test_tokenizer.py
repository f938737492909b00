"""The tokenizer of ``transformers``, on drawn texts: the same pieces and the same rows.

It is asked for the one that is written in Python (``BertTokenizer`` before version 5), with the
vocabulary that this package ships. Two things are set as our rule has them: names of special tokens
that are typed in a text are text, and rows are cut at their end.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from random import Random
from typing import Any

import pytest
from transformers import BertTokenizer

from ddpm_mindspore.reference.text.tokenizer import SHIPPED, shipped

TEXTS = 10_000


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("vocabulary")
    path = Path(folder, "vocab.txt")
    path.write_bytes(SHIPPED.read_bytes())
    return BertTokenizer(str(path), do_lower_case=True, tokenize_chinese_chars=True)


def characters(*ranges: tuple[int, int]) -> list[str]:
    return [chr(i) for first, last in ranges for i in range(first, last + 1)]


ALPHABETS: dict[str, list[str]] = {
    "Chinese": characters((0x4E00, 0x9FFF)),
    "rare ideographs": characters((0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0xF900, 0xFAFF))
    + characters((0x2A700, 0x2B7FF), (0x2F800, 0x2FA1F), (0x2E80, 0x2FDF), (0x30000, 0x3134A)),
    "Latin": [*"abcdefghijklmnopqrstuvwxyz      ABCDEFGHIJKLMNOPQRSTUVWXYZ"],
    "accents": [
        *characters((0xC0, 0x24F), (0x300, 0x36F), (0x1E00, 0x1EFF)),
        *"aeiou ßİıſﬁŉ",
    ],
    "digits": [*"0123456789.,%０１２３٣¾²"],
    "signs": characters((0x20, 0x40), (0x5B, 0x60), (0x7B, 0xBF), (0x2000, 0x206F))
    + characters((0x3000, 0x303F), (0xFF00, 0xFFEF), (0x2100, 0x2BFF)),
    "emoji": [
        *characters((0x1F300, 0x1F6FF), (0x1F900, 0x1F9FF), (0x1F1E6, 0x1F1FF)),
        *"\u200d\ufe0f\u2764\u263a",
    ],
    "control": [
        *characters((0, 0x20), (0x7F, 0xA0), (0x200B, 0x200F), (0x2028, 0x202F)),
        *"\ufffd\ufeff\u3000\u00ad",
    ],
    "other scripts": characters((0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F))
    + characters((0x1F00, 0x1FFF), (0x3040, 0x30FF), (0xAC00, 0xAD00), (0x1100, 0x11FF)),
    "anything": [c for c in characters((0, 0xD7FF), (0xE000, 0x1FFFF)) if ord(c) % 3 == 0],
}
VOCABULARY = [piece.removeprefix("##") for piece in shipped().vocabulary]


def texts() -> list[str]:
    """One after another of each kind, and mixtures; the first are those that nobody draws."""
    random = Random(1)
    found = [
        "",
        " ",
        "\u2028",
        "##",
        "[CLS] [SEP] [MASK] [PAD] [UNK]",
        "ΣΑΣ Σ",
        "İ",
        "K\u0301\u2126",
    ]
    found += ["x" * n for n in (99, 100, 101, 300)] + ["猫" * 200, "é" * 100, "e\u0301" * 101]
    kinds = list(ALPHABETS)
    while len(found) < TEXTS:
        kind = random.randrange(len(kinds) + 3)
        if kind < len(kinds):
            alphabet = ALPHABETS[kinds[kind]]
            found.append("".join(random.choices(alphabet, k=random.randrange(40))))
        elif kind == len(kinds):  # all kinds in one text
            chosen = random.choices(kinds, k=random.randrange(1, 60))
            found.append("".join(random.choice(ALPHABETS[k]) for k in chosen))
        elif kind == len(kinds) + 1:  # what the vocabulary has, with and without blanks
            pieces = random.choices(VOCABULARY, k=random.randrange(1, 30))
            found.append(random.choice(("", " ")).join(pieces))
        else:  # very long words, and very long texts
            alphabet = ALPHABETS[random.choice(("Latin", "digits", "accents", "other scripts"))]
            word = [c for c in random.choices(alphabet, k=random.randrange(80, 140)) if c.strip()]
            found.append("".join(word) + " 猫" * random.randrange(90))
    return found


def test_the_same_pieces_and_rows(theirs: Any, table: Any) -> None:
    ours = shipped()
    assert theirs.get_vocab() == ours.vocabulary
    unknown = 0
    for text in texts():
        row = ours.encode(text)
        pieces = theirs._tokenize(text, split_special_tokens=True)
        assert list(row.pieces) == pieces, _shown(text)
        expected = theirs.build_inputs_with_special_tokens(
            theirs.convert_tokens_to_ids(pieces)[: 77 - 2]
        )
        assert row.ids.tolist() == expected + [theirs.pad_token_id] * (77 - len(expected))
        assert bool(row.unknown) == ("[UNK]" in pieces), _shown(text)
        unknown += bool(row.unknown)
    table.add(f"tokenizer, {TEXTS} texts: other rows", "0", "0")
    table.add("    of them with something unknown", str(unknown), "")
    assert TEXTS // 10 < unknown < TEXTS


def test_its_own_call_gives_the_same_rows(theirs: Any) -> None:
    for text in texts()[::50]:
        if not any(token in text for token in theirs.all_special_tokens):
            given = theirs(text, max_length=77, padding="max_length", truncation=True)
            assert shipped().encode(text).ids.tolist() == given["input_ids"]


def _shown(text: str) -> str:
    return " ".join(f"{c!r} {ord(c):04X} {unicodedata.category(c)}" for c in text)
