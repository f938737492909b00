"""What of a text a network does not know, does not see or was not taught, in both languages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ...reference.config import TextUnetConfig
from ...reference.text.tokenizer import SPECIAL, Tokenizer
from ..data.lexicon import untold
from ..data.texts import EXAMPLES

FEW = 60
"""So many pieces of a vocabulary are named."""


class Remark(NamedTuple):
    """One remark: a command prints it in English, a page has both."""

    english: str
    chinese: str


def remarks(texts: Sequence[str], tokenizer: Tokenizer, network: TextUnetConfig) -> list[Remark]:
    """What of texts a network does not know, or does not see."""
    found = [tokenizer.encode(text, network.length) for text in texts]
    said = []
    if unknown := dict.fromkeys(word for one in found for word in one.unknown):
        pieces = [piece for piece in tokenizer.vocabulary if piece not in SPECIAL]
        few, known = len(pieces) <= FEW, " ".join(pieces)
        said.append(
            Remark(
                f"the model has never met {', '.join(unknown)}: it will ignore that"
                + (f" (it knows {known})" if few else ""),
                f"模型没有见过 {'、'.join(unknown)}，会当作没有说"
                + (f"（它认得 {known}）" if few else ""),
            )
        )
    for text, one in zip(texts, found, strict=True):
        if one.cut:
            most = network.length - 2
            said.append(
                Remark(
                    f"the last {one.cut} pieces of {text!r} are not seen: a text has at most "
                    f"{most}",
                    f"“{text}”太长，最后 {one.cut} 个字没有看到：最多 {most} 个",
                )
            )
    return said


def untaught(texts: Iterable[str], data: str) -> list[Remark]:
    """Texts that say less, or otherwise, than those that a model of data of the package learned."""
    said = []
    for text in dict.fromkeys(texts):
        if lacks := untold(text, data):
            english, chinese = zip(*lacks, strict=True)
            said.append(
                Remark(
                    f"{text!r} names no {', no '.join(english)}: the model was taught texts like "
                    f"{EXAMPLES[data]} (ddpm-mindspore paint --words shows what it knows)",
                    f"“{text}”没有说{'、'.join(chinese)}：模型学的是“{EXAMPLES[data]}”这样的话"
                    "（ddpm-mindspore paint --words 列出它认得的）",
                )
            )
    return said
