"""Chinese sentences as numbers: the word pieces of BERT (Devlin et al. 2018, arXiv 1810.04805).

A text becomes a row of ids of a fixed length:

    [CLS] piece piece ... piece [SEP] [PAD] ... [PAD]

    normalise   NUL, U+FFFD and control characters (category C) are dropped, white space is a blank,
                and every CJK ideograph stands between blanks, so that it is a word
    words       split at blanks; in lower case, canonically decomposed (NFD), without the marks
                (category Mn) that accents then are; split at punctuation, of which each is a word
    pieces      the longest piece of the vocabulary that begins a word, then the longest that goes
                on with it (written ##piece), and so on; [UNK] for a word that cannot be so cut,
                or that has more than 100 characters

Longer texts lose their end: the row keeps its first length - 1 ids and ends with [SEP]. The
empty text is [CLS] [SEP] and padding: what guidance calls no condition. Names of special tokens
that are typed in a text are text: [CLS] becomes [, cls, ]. Which characters are of which category
is for Python's ``unicodedata`` to say: characters newer than it are dropped.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LENGTH = 77
"""Ids in a row, where nothing else is asked for."""

LONGEST_WORD = 100
SPECIAL = PAD, UNK, CLS, SEP = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")

SHIPPED = Path(__file__).with_name("vocabulary.txt")
"""The vocabulary of Chinese BERT, 21,128 pieces (licence: vocabulary-LICENSE.md)."""

_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_ASCII_PUNCTUATION = frozenset(r"""!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~""")


@dataclass(frozen=True, eq=False)
class Encoded:
    """What a text has become.

    Attributes:
        ids: (length,) int32.
        pieces: of the whole text, [UNK] among them; those that did not fit are not in ``ids``.
        cut: how many did not fit.
        unknown: the characters, or the words where no character is to blame, that [UNK] stands
            for, each once.
    """

    ids: NDArray[np.int32]
    pieces: tuple[str, ...]
    cut: int
    unknown: tuple[str, ...]


class Tokenizer:
    """Cuts texts into the pieces of a vocabulary.

    Args:
        vocabulary: the id of each piece, [PAD], [UNK], [CLS] and [SEP] among them.

    Raises:
        ValueError: one of the four is missing.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        missing = [token for token in (PAD, UNK, CLS, SEP) if token not in vocabulary]
        if missing:
            raise ValueError(
                f"the vocabulary has no {missing[0]}: give one of BERT's, which has {PAD}, {UNK}, "
                f"{CLS} and {SEP}"
            )
        self.vocabulary = dict(vocabulary)
        self._longest = max(map(len, self.vocabulary))

    @property
    def size(self) -> int:
        """The number of ids that occur, at least: the largest, plus 1."""
        return max(self.vocabulary.values()) + 1

    def only(self, texts: Iterable[str]) -> Tokenizer:
        """A tokenizer with those pieces of this one that these texts are made of, in their order.

        Whatever else occurs in another text is unknown to it.
        """
        used = {word for text in dict.fromkeys(texts) for word in words(text)}
        found = {piece for word in used for piece in self._cut(word) or ()} - set(SPECIAL)
        rest = sorted(found, key=self.vocabulary.__getitem__)
        return Tokenizer({piece: number for number, piece in enumerate((*SPECIAL, *rest))})

    def also(self, other: Tokenizer, texts: Iterable[str]) -> Tokenizer:
        """This tokenizer with the pieces besides that it lacks for these texts, and other has.

        Their ids follow on its own.
        """
        unknown = (word for text in dict.fromkeys(texts) for word in words(text))
        lacking = {word for word in unknown if self._cut(word) is None}
        found = {piece for word in lacking for piece in other._cut(word) or ()}
        new = sorted(found - self.vocabulary.keys(), key=other.vocabulary.__getitem__)
        behind = {piece: self.size + number for number, piece in enumerate(new)}
        return Tokenizer(self.vocabulary | behind)

    def pieces(self, text: str) -> tuple[str, ...]:
        """The text in pieces."""
        return tuple(piece for word in words(text) for piece in self._cut(word) or (UNK,))

    def encode(self, text: str, length: int = LENGTH) -> Encoded:
        """One row, and what became of the text on the way.

        Raises:
            TypeError: a text that is none.
            ValueError: a length below 2, that of [CLS] [SEP].
        """
        if not isinstance(text, str):
            raise TypeError(f"text {text!r} is of type {type(text).__name__}: give a str")
        if length < 2:
            raise ValueError(f"length {length} must be at least 2: a row has {CLS} and {SEP}")
        pieces: list[str] = []
        unknown: list[str] = []
        for word in words(text):
            found = self._cut(word)
            pieces += found or (UNK,)
            if found is None:
                unknown += self._blame(word)
        kept = [CLS, *pieces[: length - 2], SEP]
        row = [self.vocabulary[piece] for piece in kept]
        row += [self.vocabulary[PAD]] * (length - len(row))
        return Encoded(
            np.array(row, np.int32),
            tuple(pieces),
            max(0, len(pieces) - (length - 2)),
            tuple(dict.fromkeys(unknown)),
        )

    def rows(self, texts: Iterable[str], length: int = LENGTH) -> NDArray[np.int32]:
        """The rows of several texts, (B, length) int32; raises as :meth:`encode` does."""
        rows = [self.encode(text, length).ids for text in texts]
        return np.array(rows, np.int32).reshape(-1, length)

    def _cut(self, word: str) -> tuple[str, ...] | None:
        """A word as the longest pieces from the left; None where it has none."""
        if len(word) > LONGEST_WORD:
            return None
        pieces: list[str] = []
        start = 0
        while start < len(word):
            mark = "##" if start else ""
            for end in range(min(len(word), start + self._longest), start, -1):
                piece = mark + word[start:end]
                if piece in self.vocabulary:
                    break
            else:
                return None
            pieces.append(piece)
            start = end
        return tuple(pieces)

    def _blame(self, word: str) -> list[str]:
        """The characters of a word that the vocabulary lacks; the word itself if it has them."""
        if len(word) <= LONGEST_WORD:
            known = self.vocabulary
            missing = [c for c in word if c not in known and f"##{c}" not in known]
            if missing:
                return missing
        return [word]


def words(text: str) -> Iterator[str]:
    """The words of a text, in lower case and without accents; each punctuation mark is a word."""
    for chunk in normalise(text).split():
        plain = unicodedata.normalize("NFD", chunk.lower())
        start = 0
        plain = "".join(c for c in plain if unicodedata.category(c) != "Mn")
        for i, character in enumerate(plain):
            if is_punctuation(character):
                yield from plain[start:i].split()
                yield character
                start = i + 1
        yield from plain[start:].split()


def normalise(text: str) -> str:
    """The text without control characters, with blanks around ideographs, composed (NFC)."""
    return unicodedata.normalize("NFC", "".join(map(_normalised, text)))


def _normalised(character: str) -> str:
    if character in " \t\n\r":
        return " "
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    if category[0] == "C" or character == "\ufffd":
        return ""
    return f" {character} " if is_ideograph(character) else character


def is_ideograph(character: str) -> bool:
    """Whether it is in a block of Chinese characters: kana and hangul are not."""
    return any(first <= ord(character) <= last for first, last in _IDEOGRAPHS)


def is_punctuation(character: str) -> bool:
    """ASCII's signs, of which Unicode calls some symbols, and category P."""
    return character in _ASCII_PUNCTUATION or unicodedata.category(character)[0] == "P"


@lru_cache
def shipped() -> Tokenizer:
    """The tokenizer of the vocabulary that comes with the package."""
    return Tokenizer(read_vocabulary(SHIPPED))


def read_vocabulary(path: str | Path) -> dict[str, int]:
    """The id of each piece, from a file with one piece a line: its number, from 0.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not UTF-8, or it has an empty line, or a piece twice; the message names
            the line.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"vocabulary {str(path)!r} does not exist: give a text file with one piece a line"
        ) from None
    lines = content.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\n").split(b"\n")
    vocabulary: dict[str, int] = {}
    for number, line in enumerate(lines):
        where = f"vocabulary {str(path)!r}, line {number + 1}"
        try:
            piece = line.removesuffix(b"\r").decode()
        except UnicodeDecodeError:
            raise ValueError(f"{where}: {_shown(line)} is not UTF-8: convert the file") from None
        if not piece:
            raise ValueError(
                f"{where} is empty: a piece has the number of its line, so none may be"
            )
        if piece in vocabulary:
            raise ValueError(
                f"{where}: {piece!r} is there already, in line {vocabulary[piece] + 1}: a piece "
                "has one number"
            )
        vocabulary[piece] = number
    return vocabulary


def _shown(line: bytes) -> Any:
    return line if len(line) <= 20 else line[:20] + b"..."
