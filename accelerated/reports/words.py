"""What pages say, in English and in Chinese: ``words.json`` has all of it, a line for each text.

A page is written in English and carries the table, from which its switch takes the other language.
"""

from __future__ import annotations

import json
from functools import cache
from html import escape
from pathlib import Path

LANGUAGES = ("en", "zh")


@cache
def table() -> dict[str, list[str]]:
    """Every text by its key, in the order of LANGUAGES."""
    path = Path(__file__).with_name("words.json")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def said(key: str, /, **values: object) -> str:
    """A text, as HTML that the switch knows; values are escaped."""
    return f'<span data-t="{key}"{_values(values)}>{escape(english(key, **values))}</span>'


def named(key: str, /, attribute: str = "aria-label", **values: object) -> str:
    """The same as an attribute of an element."""
    text = escape(english(key, **values))
    return f'{attribute}="{text}" data-of="{attribute}" data-key="{key}"{_values(values)}'


def inside(key: str, /, **values: object) -> str:
    """What is between the angle brackets of an SVG text: attributes, and the text."""
    return f'data-t="{key}"{_values(values)}>{escape(english(key, **values))}'


def english(key: str, /, **values: object) -> str:
    """A text in English, plain."""
    return table()[key][0].format(**values)


def script() -> str:
    """The table for the switch, as JSON that may stand in HTML."""
    return as_script(table())


def as_script(value: object) -> str:
    """JSON that may stand in a script element, whatever it holds."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _values(values: dict[str, object]) -> str:
    if not values:
        return ""
    texts = {name: str(value) for name, value in values.items()}
    return f' data-v="{escape(json.dumps(texts, ensure_ascii=False))}"'
