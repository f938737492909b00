"""What a model of data that come with the package was taught to be told."""

from __future__ import annotations

import textwrap

from . import pictures, sayings

WIDTH = 38
"""Chinese characters are twice as wide as others."""

_STYLES = tuple(pictures.STYLES.values())
_BACKGROUNDS = tuple(f"{colour}色" for colour, _ in pictures.BACKGROUNDS.values())


def untold(text: str, data: str) -> list[tuple[str, str]]:
    """What a text lacks that all captions of such data say, in English and in Chinese."""
    if data == "scenes":
        whole = ("two digits with their colours and places", "哪两个数字、颜色和位置")
        return [whole] if sayings.facts_of(text) is None else []
    if data != "pictures":
        return []
    lacks = []
    # Some things are called by a colour alone.
    for what, words in ((("style", "画风"), _STYLES), (("background", "背景"), _BACKGROUNDS)):
        lacks += [] if any(word in text for word in words) else [what]
        for word in words:
            text = text.replace(word, "")
    things = (name for c in pictures.concepts() for name in (c.name, *c.keywords))
    return lacks if any(thing in text for thing in things) else [("thing", "画什么"), *lacks]


def lexicon(data: str) -> str:
    """What may be said, and how, for people to read.

    Raises:
        ValueError: data that do not come with the package, or of which nothing is said.
    """
    if data == "scenes":
        lists = _of_scenes()
    elif data == "pictures":
        lists = _of_pictures()
    else:
        raise ValueError(
            f"data {data!r} are not of the package: what a run on them was taught is in their "
            "captions"
        )
    return "\n".join(f"{name}:\n{textwrap.indent(part, '  ')}" for name, part in lists.items())


def _of_scenes() -> dict[str, str]:
    shown = sayings.Facts(sayings.LAYOUTS[0], (3, 8), ("red", "blue"))
    each = sayings.SAYINGS // len(sayings.WAYS)  # a way's orders and numerals follow each other
    numbers = range(0, sayings.SAYINGS, each)
    return {
        "ways to say it": "\n".join(sayings.saying(shown, number) for number in numbers),
        "digits": "\n".join(" ".join(numerals) for numerals in sayings.NUMERALS),
        "colours": " ".join(sayings.COLOURS.values()),
        "places": " ".join(sayings.PLACES.values()),
    }


def _of_pictures() -> dict[str, str]:
    concepts = pictures.concepts()
    panda = [concept.name for concept in concepts].index("熊猫")
    ways = pictures.captions(pictures.Shown(panda, "solid", "blue"))[: len(pictures.WAYS)]
    groups = {
        group: textwrap.fill(" ".join(c.name for c in concepts if c.group == group), WIDTH)
        for group in pictures.GROUPS
    }
    return {
        "ways to say it": "\n".join(ways),
        "styles": " ".join(_STYLES),
        "backgrounds": " ".join(_BACKGROUNDS),
        **groups,
    }
