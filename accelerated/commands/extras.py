"""What is said where a package is not installed that only some of the house needs."""

from __future__ import annotations

from importlib.util import find_spec

from ..system.say import answer, say
from .exit_codes import DONE, REFUSED
from .table import COMMANDS


def missing_package(error: ModuleNotFoundError) -> str:
    """The package of others that is not installed; "" where the error is about something else."""
    package = (error.name or "").partition(".")[0]
    return package if package != "ddpm_mindspore" and package and not find_spec(package) else ""


def remedy(what: str, package: str, extra: str = "accelerated") -> str:
    """Say what needs a package, and how it is had.

    That works without an index that has this package: pip takes the extra of what is installed.
    """
    return f'{what} needs more than is installed ({package}): pip install "ddpm-mindspore[{extra}]"'


def without_package(args: list[str], error: ModuleNotFoundError) -> int:
    """What a command does where a package of its extra is missing: say so, and exit with 2.

    Of its help it shows what needs no package, and exits with 0.

    Raises:
        ModuleNotFoundError: something else is missing.
    """
    package = missing_package(error)
    if not package:
        raise error
    command = args[0]
    extra = "parity" if command == "parity" else "accelerated"
    needs = remedy(f"ddpm-mindspore {command}", package, extra)
    if {"-h", "--help"} & set(args):
        answer(f"usage: ddpm-mindspore {command} [OPTIONS]\n\n{COMMANDS[command].text}\n{needs}")
        return DONE
    say(needs, error=True)
    return REFUSED
