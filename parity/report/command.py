"""``ddpm-mindspore parity``: does this device compute what the reference says?"""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ...accelerated.commands.exit_codes import REFUSED
from ...accelerated.system.say import OUT, say
from .digest import suite_digest
from .options import ParityConfig
from .outcomes import FAIL, Report, environment, failures_text, to_json, to_table
from .page import to_html
from .report_folder import files_of_others

if TYPE_CHECKING:
    from .collect import Collector
    from .earlier import Earlier

SUITE = Path(__file__).parents[1]
JSON = "report.json"
INSTALL = "pip install 'ddpm-mindspore[parity]'"
# Wide enough for a name and an example where the output is no terminal.
LOG_WIDTH = 140


class CannotRunError(Exception):
    """Why nothing could be said, in one line."""


def run(config: ParityConfig, suite: Path = SUITE) -> int:
    """Check the properties, print what came of them and write the report.

    Args:
        config: what to check.
        suite: the folder of the properties.

    Returns:
        0: all hold; 1: one failed; 2: could not run, with the reason on stderr.
    """
    try:
        _require_packages()
        _prepare_folder(config.report)
        earlier = _earlier(config, suite)
        device = _select_device(config.device)
        with tempfile.TemporaryDirectory(prefix="ddpm-mindspore-parity-") as scratch:
            with _recorded(config) as save:
                report = _check(config, device, suite, Path(scratch), earlier)
            _show(report)
            save(report)
            _write(report, config.report, Path(scratch))
    except CannotRunError as reason:
        say(f"ddpm-mindspore parity could not run: {reason}", error=True)
        return REFUSED
    return report.exit_code


def _require_packages() -> None:
    packages = {"pytest-xdist": "xdist"} | {
        p: p for p in ("mindspore", "pytest", "hypothesis", "tqdm")
    }
    missing = [name for name, module in packages.items() if find_spec(module) is None]
    if missing:
        raise CannotRunError(f"not installed: {', '.join(missing)} ({INSTALL})")


def _prepare_folder(folder: Path) -> None:
    if others := files_of_others(folder):
        raise CannotRunError(
            f"report folder {str(folder)!r} holds {', '.join(others)} of something else: choose "
            "another, or move them away"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise CannotRunError(f"report folder {str(folder)!r} is not writable: {reason}") from error


@contextlib.contextmanager
def _recorded(config: ParityConfig) -> Iterator[Callable[[Report], None]]:
    """Within it, cases are noted if a trace is wanted; what is yielded writes it in the end."""
    from . import trace

    folder = config.record
    if folder is None:
        yield lambda report: None
        return
    try:
        trace.check_folder(folder)
    except ValueError as error:
        raise CannotRunError(str(error)) from error
    _prepare_folder(folder)
    noted = trace.record()

    def save(report: Report) -> None:
        package = f"ddpm-mindspore {report.environment['ddpm-mindspore']}"
        about = {"package": package, "suite": report.suite, "seed": report.seed}
        try:
            noted.write(folder, {**about, "created": report.started})
        except OSError as error:
            raise CannotRunError(
                f"the trace was not written to {str(folder)!r}: {error}"
            ) from error
        say(f"{len(noted.cases)} cases to check a device by: {folder / 'verify_trace.py'}")

    try:
        yield save
    finally:
        trace.stop()


def _select_device(name: str) -> str:
    try:
        from ...accelerated.system.runtime import select_device

        return select_device(name)
    except (ImportError, ValueError) as error:
        raise CannotRunError(" ".join(str(error).split())) from error


def _earlier(config: ParityConfig, suite: Path) -> Earlier | None:
    if config.compare is None:
        return None
    from .earlier import read_earlier

    if config.compare.resolve() == (config.report / JSON).resolve():
        raise CannotRunError(
            f"{str(config.compare)!r} would be replaced by this run's report: write that elsewhere "
            "(--report)"
        )
    run = {"suite": suite_digest(suite), "seed": config.seed, "examples": config.examples}
    try:
        return read_earlier(config.compare, {**run, "hypothesis": version("hypothesis")})
    except ValueError as error:
        raise CannotRunError(f"nothing to compare with: {error}") from error


def _check(
    config: ParityConfig, device: str, suite: Path, scratch: Path, earlier: Earlier | None
) -> Report:
    import pytest

    from .collect import Collector
    from .progress import progress_on
    from .quiet import arguments, jobs_of, quiet_home

    started, clock = datetime.now().astimezone(), time.monotonic()
    jobs = jobs_of(config, device)
    plugin = Collector(suite, SUITE.parent, progress_on(OUT, jobs), earlier)
    said = io.StringIO()
    with quiet_home(scratch), contextlib.redirect_stderr(said):
        code = pytest.main(arguments(config, device, suite, scratch, jobs), plugins=[plugin])
    plugin.progress.close()
    _explain(int(code), plugin, config, said.getvalue())
    return Report(
        outcomes=plugin.outcomes,
        device=device,
        seed=config.seed,
        examples=config.examples,
        only=config.only,
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - clock, 3),
        environment=environment(),
        suite=suite_digest(suite),
        compare=earlier.name if earlier else None,
        compared_with=earlier.title if earlier else None,
        interrupted=len(plugin.outcomes) < plugin.total,
    )


def _explain(code: int, plugin: Collector, config: ParityConfig, said: str) -> None:
    """Raise what kept pytest from running the properties, if anything did."""
    if plugin.broken:
        raise CannotRunError("{} cannot be imported: {}".format(*plugin.broken[0]))
    if code == 5 and config.only:
        raise CannotRunError(f"no property matches --only {config.only!r}")
    if not plugin.total and code == 2:
        raise CannotRunError("it was interrupted before the first property")
    if not plugin.total or code in (3, 4):
        lines = [line for line in said.splitlines() if line.strip()]
        last = lines[-1] if lines else f"pytest ended with exit code {code}"
        raise CannotRunError(last.removeprefix("ERROR:").removeprefix("E ").strip())


def _show(report: Report) -> None:
    width = shutil.get_terminal_size((LOG_WIDTH, 24)).columns
    compared = report.compared_with is not None
    say(f"\n{to_table(report.outcomes, width, compared)}\n")
    if compared:
        say(f"before: in {report.compared_with}\n")
    if report.with_status(FAIL):
        say(f"{failures_text(report)}\n")


def _write(report: Report, folder: Path, scratch: Path) -> None:
    try:
        (folder / JSON).write_text(to_json(report), encoding="utf-8")
        (folder / "report.html").write_text(to_html(report), encoding="utf-8")
        shutil.copyfile(scratch / "junit.xml", folder / "junit.xml")
    except OSError as error:
        raise CannotRunError(f"the report was not written to {str(folder)!r}: {error}") from error
    say(f"{report.verdict}; report: {folder / 'report.html'}")
