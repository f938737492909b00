"""What may be said in Chinese of two coloured digits, and what such a sentence says."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

COLOURS = {"red": "红", "green": "绿", "blue": "蓝", "yellow": "黄"}
PLACES = {"left": "左", "right": "右", "above": "上", "below": "下"}
LAYOUTS = (("left", "right"), ("above", "below"))
NUMERALS = ("零一二三四五六七八九", "0123456789")

# p: a place, q: it as a noun, c: a colour, d: a digit; of the one that is named first, then of the
# other one.
WAYS = (
    "{q1}是{c1}色的{d1}，{q2}是{c2}色的{d2}",
    "{c1}色的{d1}在{q1}，{c2}色的{d2}在{q2}",
    "{p1}{c1}{d1}，{p2}{c2}{d2}",
    "一个{c1}色的{d1}在{p1}，一个{c2}色的{d2}在{p2}",
    "{q1}的{d1}是{c1}色，{q2}的{d2}是{c2}色",
    "{q1}写着{c1}色的数字{d1}，{q2}写着{c2}色的数字{d2}。",
    "{c1}色的{d1}在{c2}色的{d2}的{q1}",
)
"""Each is said in both orders and with both kinds of numerals."""

_FORMS = list(itertools.product(WAYS, ((0, 1), (1, 0)), NUMERALS))
SAYINGS = len(_FORMS)

_NAMES = {sign: name for words in (COLOURS, PLACES) for name, sign in words.items()}
_DIGITS = {sign: value for signs in NUMERALS for value, sign in enumerate(signs)} | {"〇": 0}
_KINDS = dict.fromkeys(COLOURS.values(), "c") | dict.fromkeys(PLACES.values(), "p")
_KINDS |= dict.fromkeys(_DIGITS, "d")
_NO_DIGIT = re.compile("一个|一张|一幅")  # an article
_CLAUSES = re.compile(r"[，,。.；;、]")


class Facts(NamedTuple):
    """What a scene shows.

    Attributes:
        places: ("left", "right") or ("above", "below").
        digits: what stands there, each 0..9.
        colours: in which colours, names of ``COLOURS``.
    """

    places: tuple[str, str]
    digits: tuple[int, int]
    colours: tuple[str, str]


def sayings(facts: Facts) -> list[str]:
    """All that may be said of a scene: every way, in both orders, with both kinds of numerals."""
    return [saying(facts, number) for number in range(SAYINGS)]


def saying(facts: Facts, number: int) -> str:
    """One of the sentences about a scene, 0 to ``SAYINGS`` - 1."""
    way, order, numerals = _FORMS[number]
    noun = "边" if facts.places == LAYOUTS[0] else "面"
    words: dict[str, str] = {}
    for place, thing in enumerate(order, 1):
        where = PLACES[facts.places[thing]]
        words |= {
            f"p{place}": where,
            f"q{place}": where + noun,
            f"c{place}": COLOURS[facts.colours[thing]],
            f"d{place}": numerals[facts.digits[thing]],
        }
    return way.format(**words)


def facts_of(caption: str) -> Facts | None:
    """What a sentence says of a scene; None if it does not name both places, digits and colours.

    Other sentences than those of ``WAYS`` are understood too, as long as each clause names a place,
    a colour and a digit once, or one digit's place beside the other.
    """
    things: dict[str, tuple[int, str]] = {}
    for clause in _CLAUSES.split(_NO_DIGIT.sub("", caption)):
        signs = [sign for sign in clause if sign in _KINDS]
        kinds = "".join(_KINDS[sign] for sign in signs)
        if sorted(kinds) == list("cdp"):
            found = [signs]
        elif kinds == "cdcdp":
            found = [[*signs[:2], signs[4]], [*signs[2:4], _opposite(signs[4])]]
        elif kinds == "cdpcd":
            found = [[*signs[:2], _opposite(signs[2])], [*signs[3:], signs[2]]]
        elif kinds:
            return None
        else:
            continue
        for thing in found:
            colour, digit, place = sorted(thing, key=lambda sign: _KINDS[sign])
            if _NAMES[place] in things:
                return None
            things[_NAMES[place]] = (_DIGITS[digit], _NAMES[colour])
    for first, second in LAYOUTS:
        if things.keys() == {first, second}:
            (digit_1, colour_1), (digit_2, colour_2) = things[first], things[second]
            return Facts((first, second), (digit_1, digit_2), (colour_1, colour_2))
    return None


def _opposite(place: str) -> str:
    """The sign of the place on the other side."""
    return {"左": "右", "右": "左", "上": "下", "下": "上"}[place]
