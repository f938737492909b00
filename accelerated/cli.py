"""The command line, ``ddpm-mindspore COMMAND``.

Options are the fields of the configuration dataclasses: tyro turns those into flags and help. What
needs MindSpore is imported late, so that ``--help`` and wrong input answer at once.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from importlib import import_module
from itertools import dropwhile, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from .commands.extras import without_package
from .commands.usage import (
    EXPORT,
    IMPORT,
    INFO,
    PARITY,
    REPLAY,
    SAMPLE_EXAMPLES,
    STATUS,
    TRAIN_EXAMPLES,
    USAGE,
)
from .system.runtime import compile_cache_allowed, process_count
from .system.say import answer, close_bars, open_streams, say, settle
from .system.signals import asked_as_by_ctrl_c

if TYPE_CHECKING:
    from .config import RunConfig

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns its exit code (1: a full disk, 2: wrong input, 3: too many NaN, 130: interrupted).
    """
    args = list(sys.argv[1:] if arguments is None else arguments)
    commands = {
        "train": _train,
        "sample": _sample,
        "status": _status,
        "replay": _replay,
        "parity": _parity,
        "import": _import,
        "export": _export,
        "info": _info,
    }
    open_streams()
    with asked_as_by_ctrl_c():
        try:
            return _run(commands, args)
        except ValueError as error:
            return _failed(str(error), 2)
        except ModuleNotFoundError as error:
            return without_package(args, error)
        except MemoryError as error:
            return _failed(f"not enough memory: {error}", 1)
        except KeyboardInterrupt:
            from .commands.exit_codes import INTERRUPTED

            return _failed("interrupted", INTERRUPTED)
        except OSError as error:  # a full disk, above all
            return _failed(str(error), 1)
        finally:
            settle()


def _failed(why: str, code: int) -> int:
    close_bars()
    say(f"ddpm-mindspore: {why}", error=True)
    return code


def _run(commands: Mapping[str, Callable[[list[str]], int]], args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        answer(USAGE.rstrip())
        return 0
    if args[0] not in commands:
        raise ValueError(f"command {args[0]!r} is unknown: choose {', '.join(commands)}")
    _check_empty(args[1:])
    return commands[args[0]](args[1:])


def _parse(
    kind: type[T], command: str, help_text: str, args: list[str], default: T | None = None
) -> T:
    """Options as a configuration; what tyro has to say against them, in a line.

    Raises:
        ValueError: an option that is unknown, or whose value is wrong.
    """
    import tyro

    prog = f"ddpm-mindspore {command}"
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            parsed: T | None = tyro.cli(
                kind,
                prog=prog,
                description=help_text,
                args=args,
                default=default,
            )
            return cast(T, parsed)
    except BrokenPipeError:  # as in "ddpm-mindspore train --help | head"
        raise SystemExit(0) from None
    except SystemExit as stop:
        if not stop.code:
            raise
    # A box, whose first part says what is wrong and whose second shows the option's help.
    title, *lines = map(_text, said.getvalue().splitlines())
    wrong = " ".join(takewhile(bool, dropwhile(lambda line: not line, lines)))
    _, _, message = wrong.partition("Error parsing ")
    if not message:
        message = wrong if wrong.startswith(title) else f"{title}: {wrong}"
    elif not message.startswith("-"):
        message = message.partition(": ")[2]  # the name of a part of the configuration
    raise ValueError(f"{message} (see {prog} --help)")


def _check_empty(args: list[str]) -> None:
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


def _text(line: str) -> str:
    """What a line of a box says; its frame is of dashes where the output is not UTF-8."""
    text = line.strip("│╭╮╰╯─ ")
    return text if text.strip("-") else ""


def _train(args: list[str]) -> int:
    from .config import RunConfig

    config = _parse(RunConfig, "train", TRAIN_EXAMPLES, args, _train_defaults(args))
    from .commands.train import train

    with compile_cache_allowed():
        return train(config, new_data=_value_of("--data", args) is not None)


def _train_defaults(args: list[str]) -> RunConfig:
    """What options start from: the run that is resumed, or a preset for the kind of data.

    A run that starts from another has its images and its network unless told otherwise.
    """
    from .config import DIGITS, FOLDER

    source = _value_of("--from", args)
    if source is not None and "--resume" in args:
        raise ValueError(
            "--from starts a new run and --resume goes on with one, which knows what it was "
            "started from: leave one of them out"
        )
    if "--resume" in args and not {"-h", "--help"} & set(args):
        from dataclasses import replace

        from .runs.folder import RunFolder
        from .runs.images import place_of_images

        folder = _value_of("--results-folder", args) or DIGITS.trainer.results_folder
        run = RunFolder(Path(folder).expanduser())
        config = run.read_config()
        if _value_of("--data", args) is None:
            config = replace(config, data=place_of_images(run))
        trainer = replace(config.trainer, results_folder=folder, resume=False, distributed=False)
        if _value_of("--batch-size", args) is None:
            size = _share(trainer.train_batch_size * run.processes(), "--distributed" in args)
            trainer = replace(trainer, train_batch_size=size)
        return replace(config, trainer=trainer)
    data = _value_of("--data", args)
    if source is None or {"-h", "--help"} & set(args):
        return DIGITS if data in (None, DIGITS.data) else FOLDER
    from .trainer.from_run import like_source

    like = like_source(DIGITS, source, data)
    return like if like.data == DIGITS.data else like_source(FOLDER, source, data)


def _share(images: int, distributed: bool) -> int:
    """How many of a gradient's images are for each of the processes that there are now.

    Raises:
        ValueError: they cannot have equally many.
    """
    processes = process_count() if distributed else 1
    if images % processes:
        raise ValueError(
            f"the run's {images} images of a gradient cannot be shared by {processes} processes: "
            "start another number of them, or say how many images for each (--batch-size)"
        )
    return images // processes


def _value_of(flag: str, args: list[str]) -> str | None:
    """The value that tyro will find: the last one; it takes --a_b for --a-b."""
    value = None
    for i, arg in enumerate(args):
        name, equals, rest = arg.partition("=")
        if name.replace("_", "-") == flag:
            value = rest if equals else next(iter(args[i + 1 :]), None)
    return value


def _sample(args: list[str]) -> int:
    from .commands.options import SampleConfig

    config = _parse(SampleConfig, "sample", SAMPLE_EXAMPLES, args)
    from .commands.sample import sample

    with compile_cache_allowed():
        return sample(config)


def _status(args: list[str]) -> int:
    from .commands.options import StatusConfig

    config = _parse(StatusConfig, "status", STATUS, args)
    from .commands.status import status

    return status(config)


def _parity(args: list[str]) -> int:
    command = import_module("ddpm_mindspore.parity.report.command")
    config = _parse(command.ParityConfig, "parity", PARITY, args)
    code: int = command.run(config)
    return code


def _replay(args: list[str]) -> int:
    from .commands.options import ReplayConfig

    config = _parse(ReplayConfig, "replay", REPLAY, args)
    from .commands.replay import replay

    return replay(config)


def _import(args: list[str]) -> int:
    from .commands.options import ImportConfig

    config = _parse(ImportConfig, "import", IMPORT, args)
    from .weights.convert import import_run

    return import_run(config)


def _export(args: list[str]) -> int:
    from .commands.options import ExportConfig

    config = _parse(ExportConfig, "export", EXPORT, args)
    from .weights.convert import export_run

    return export_run(config)


def _info(args: list[str]) -> int:
    from .commands.options import InfoConfig

    config = _parse(InfoConfig, "info", INFO, args)
    from .commands.info import info

    return info(config)


if __name__ == "__main__":
    sys.exit(main())
