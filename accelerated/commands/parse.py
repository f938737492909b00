"""A command's words become its options; what is wrong with them is said in one line.

tyro turns the fields of a dataclass into flags and help. What it has to say against words it draws
in a box, whose first part says what is wrong and whose second shows the option's help.
"""

from __future__ import annotations

import io
import re
from contextlib import redirect_stderr
from functools import lru_cache
from itertools import dropwhile, takewhile
from typing import Any, TypeVar, cast

T = TypeVar("T")


def parse(kind: type[T], command: str, text: str, args: list[str], default: T | None = None) -> T:
    """The options of a command; ``text`` is what its help begins with.

    Raises:
        ValueError: an option that is unknown, or whose value is wrong.
        SystemExit: help was asked for and shown.
    """
    import tyro

    prog = f"ddpm-mindspore {command}"
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return cast(
                T,
                tyro.cli(
                    kind, prog=prog, description=text, args=args, default=default, registry=_rules()
                ),
            )
    except BrokenPipeError:  # as in "ddpm-mindspore train --help | head"
        raise SystemExit(0) from None
    except SystemExit as stop:
        if not stop.code:
            raise
    raise ValueError(f"{_complaint(said.getvalue())} (see {prog} --help)")


@lru_cache
def _rules() -> Any:
    """How an option that may have no value is shown: "None|INT", where tyro has braces."""
    from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec

    registry = ConstructorRegistry()

    @registry.primitive_rule
    def nothing(info: Any) -> Any:
        if info.type is not type(None):
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="None",
            choices=("None",),
            instance_from_str=lambda words: None,
            is_instance=lambda value: value is None,
            str_from_instance=lambda value: ["None"],
        )

    return registry


def check_empty(args: list[str]) -> None:
    """Refuse an empty argument, which a shell makes of a variable that is not set.

    As the path that it was meant to be it would be the folder that one is in.

    Raises:
        ValueError: there is one.
    """
    for place, arg in enumerate(args):
        option, equals, value = arg.partition("=")
        if not arg or (arg.startswith("--") and equals and not value):
            before = option or (args[place - 1] if place else "")
            what = f"{before} is empty" if before.startswith("--") else "an argument is empty"
            raise ValueError(f"{what}: give a value, or leave it out")


def value_of(flag: str, args: list[str]) -> str | None:
    """The value that tyro will find: the last one; it takes --a_b for --a-b."""
    value = None
    for i, arg in enumerate(args):
        name, equals, rest = arg.partition("=")
        if name.replace("_", "-") == flag:
            value = rest if equals else next(iter(args[i + 1 :]), None)
    return value


def is_given(flag: str, args: list[str]) -> bool:
    """Whether a flag is there, with a value or without."""
    return any(arg.partition("=")[0].replace("_", "-") == flag for arg in args)


def _complaint(box: str) -> str:
    """What the first part of tyro's box says."""
    title, *lines = map(_inside, box.splitlines())
    wrong = " ".join(takewhile(bool, dropwhile(lambda line: not line, lines)))
    if wrong.startswith("Missing from "):
        parts = wrong.partition(": ")[2].split("(required)")[:-1]
        return f"missing: {'; '.join(map(_named, parts))}"
    _, _, message = wrong.partition("Error parsing ")
    if not message:
        return wrong if wrong.startswith(title) else f"{title}: {wrong}"
    if message.startswith("-"):
        return message
    return message.partition(": ")[2]  # after the name of a part of the configuration


def _named(part: str) -> str:
    """An option with its help behind it, in brackets."""
    return re.sub(r"^(--\S+ \S+|\S+) (.*)$", r"\1 (\2)", part.strip(" ."))


def _inside(line: str) -> str:
    """What a line of a box says; its frame is of dashes where the output is not UTF-8."""
    text = line.strip("│╭╮╰╯─ ")
    return text if text.strip("-") else ""
