"""The command line, ``ddpm-mindspore COMMAND``: one of the commands of the table is run.

What needs MindSpore is imported late, so that ``--help`` and wrong input answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import nullcontext

from .commands.exit_codes import DONE, FAILED, INTERRUPTED, REFUSED
from .commands.extras import without_package
from .commands.parse import check_empty, parse
from .commands.table import COMMANDS, load, usage
from .system.runtime import compile_cache_allowed
from .system.say import answer, close_bars, open_streams, say, settle
from .system.signals import asked_as_by_ctrl_c


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code (see ``commands/exit_codes.py``)."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    open_streams()
    with asked_as_by_ctrl_c():
        try:
            return _run(args)
        except ValueError as error:
            return _ended(str(error), REFUSED)
        except ModuleNotFoundError as error:
            return without_package(args, error)
        except MemoryError as error:
            return _ended(f"not enough memory: {error}", FAILED)
        except KeyboardInterrupt:
            return _ended("interrupted", INTERRUPTED)
        except OSError as error:  # a full disk, above all
            return _ended(str(error), FAILED)
        finally:
            settle()


def _run(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        answer(usage())
        return DONE
    name, *words = args
    if name not in COMMANDS:
        raise ValueError(f"command {name!r} is unknown: choose {', '.join(COMMANDS)}")
    command = COMMANDS[name]
    check_empty(words)  # before anything looks for a folder of that name
    default, told = load(command.start)(words) if command.start else (None, {})
    options = parse(load(command.options), name, command.text, words, default)
    with compile_cache_allowed() if command.keeps_graphs else nullcontext():
        code: int = load(command.run)(options, **told)
    return code


def _ended(why: str, code: int) -> int:
    close_bars()
    say(f"ddpm-mindspore: {why}", error=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
