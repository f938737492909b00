"""Check a device against a trace of ddpm-mindspore's parity suite. Needs Python >= 3.7 and NumPy.

A trace is a folder with cases: inputs and weights, what an exact computation makes of them, and
how large an error rounding alone explains. This file lies in it and needs nothing else of it:

    python verify_trace.py                      what is computed, by name: inputs, options, results
    python verify_trace.py my_module.py         ask functions of yours, and print the table
    python verify_trace.py --export FOLDER      each case's inputs as files
    python verify_trace.py FOLDER               check the files that you put there

(from elsewhere: python trace/verify_trace.py --trace trace my_module.py). my_module.py has a
function for each operation that it knows, under the operation's name:

    def q_sample(inputs, options):              # dicts: NumPy arrays, and plain values
        x_0, noise, alpha_bar, t = (inputs[n] for n in ("x_0", "noise", "alpha_bar", "t"))
        ...                                     # on your device
        return {"x_t": x_t}                     # float arrays, by the names of the results

An operation without a function is skipped. Without Python on the device, export: FOLDER then has
CASE/inputs/NAME.npy and CASE/case.json, and results are looked for as CASE/NAME.npy.

Exit code 0: every result is within its bound; 1: one is not; 2: nothing could be said.

The files of a trace: cases.npz, with an array CASE/KIND/NAME for each input, expected result and
bound (KIND: "in", "out", "bound"; a bound broadcasts to its result), and manifest.json:

    {"format": "ddpm-mindspore parity trace", "version": 1,
     "package": ..., "suite": ..., "seed": ..., "created": ...,      where it comes from
     "operations": {"q_sample": "x_t = ...", ...},                   what each one computes
     "cases": [{"case": "q_sample-1", "operation": "q_sample", "options": {...},
                "inputs": [names], "results": [names]}, ...],
     "files": {"cases.npz": its SHA-256},
     "sha256": of this document without this entry, as json.dumps(..., sort_keys=True) writes it}
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:  # older versions of Python cannot compute these, and need not
    from collections.abc import Callable, Iterator

    Arrays = dict[str, Any]
    Answer = Callable[["Case"], Arrays | None]

FORMAT = "ddpm-mindspore parity trace"
VERSION = 1
MANIFEST, ARRAYS = "manifest.json", "cases.npz"
WIDTH = 140


class DamagedError(Exception):
    """Why a trace or an answer is of no use, in one line."""


class Case(NamedTuple):
    """One computation, and what should come of it."""

    name: str  # "q_sample-1"
    operation: str  # "q_sample"
    options: dict[str, Any]  # plain values
    inputs: Arrays  # by name
    expected: Arrays  # float64 results by name
    bounds: Arrays  # how far each may be off, by the same names


class Row(NamedTuple):
    """What became of one operation: results compared, the worst share, and what to say of it."""

    operation: str
    status: str = "skip"
    cases: int = 0
    worst: float = 0.0
    said: str = "you have no function of this name"


def seal(document: dict[str, Any]) -> str:
    """SHA-256 of a manifest without its own entry."""
    rest = {name: value for name, value in document.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a trace; DamagedError unless its files are as they were written."""
    try:
        document: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        form, version = document["format"], document["version"]
    except OSError as error:
        raise DamagedError(f"{folder} holds no trace: {error.strerror}, {MANIFEST}") from None
    except (ValueError, KeyError, TypeError):
        raise DamagedError(f"{folder / MANIFEST} is damaged: record the trace again") from None
    if (form, version) != (FORMAT, VERSION):
        found = f"{folder / MANIFEST} is {form!r} version {version}, and this program reads"
        raise DamagedError(f"{found} version {VERSION}: use the verify_trace.py beside it")
    if document.get("sha256") != seal(document):
        raise DamagedError(f"{folder / MANIFEST} is not what was written: record the trace again")
    for name, digest in document["files"].items():
        path = folder / name
        if not path.is_file():
            raise DamagedError(f"{path} is missing: copy the whole folder")
        if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise DamagedError(f"{path} is damaged (its checksum differs): copy it again")
    return document


def read_cases(folder: Path) -> Iterator[Case]:
    """The cases of a trace, one after the other; DamagedError unless it is whole."""
    document = read_manifest(folder)
    with np.load(str(folder / ARRAYS), allow_pickle=False) as arrays:
        for entry in document["cases"]:
            name, results = entry["case"], entry["results"]
            yield Case(
                name,
                entry["operation"],
                entry["options"],
                {n: arrays[f"{name}/in/{n}"] for n in entry["inputs"]},
                {n: arrays[f"{name}/out/{n}"] for n in results},
                {n: arrays[f"{name}/bound/{n}"] for n in results},
            )


def share_of(actual: Any, expected: Any, bound: Any) -> float:
    """The largest error as a share of its bound: infinite for a wrong shape or a NaN."""
    actual = np.asarray(actual)
    if actual.shape != expected.shape or actual.dtype.kind not in "fiu":
        return float("inf")
    if not actual.size:
        return 0.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        error = np.abs(actual.astype(np.float64) - expected)
        shares = np.where(error == 0.0, 0.0, error / np.broadcast_to(bound, error.shape))
    return float(np.max(np.where(np.isnan(shares), np.inf, shares)))


def check(cases: list[Case], answer: Answer) -> Row:
    """Compare the answers to all cases of one operation."""
    row = Row(cases[0].operation)
    for case in cases:
        for share, said in _shares(case, answer):
            if not row.cases or share > row.worst:
                row = row._replace(worst=share, said=f"{case.name}: {said}")
            row = row._replace(cases=row.cases + 1)
    return row._replace(status="FAIL" if row.worst > 1.0 else "pass") if row.cases else row


def _shares(case: Case, answer: Answer) -> Iterator[tuple[float, str]]:
    """The error of each result as a share of its bound, and what to say of it."""
    try:
        results = answer(case)
    except Exception as error:
        traceback.print_exc()
        yield float("inf"), f"{type(error).__name__}: {error}"
        return
    if results is None:
        return
    options = f", {json.dumps(case.options)}" if case.options else ""
    for name, expected in case.expected.items():
        if name not in results:
            yield float("inf"), f"{name} is missing"
        elif np.shape(results[name]) != expected.shape:
            yield float("inf"), f"{name} has shape {np.shape(results[name])}, not {expected.shape}"
        else:
            share = share_of(results[name], expected, case.bounds[name])
            yield share, f"{name} {expected.shape}{options}"


def functions_of(path: Path) -> Answer:
    """Ask the functions of a file of Python; DamagedError if it cannot be imported."""
    spec = importlib.util.spec_from_file_location(path.stem, str(path))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))  # so that it can import what lies beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise DamagedError(f"{path} cannot be imported: {error!r}") from error

    def answer(case: Case) -> Any:
        function = getattr(module, case.operation, None)
        return None if function is None else function(dict(case.inputs), dict(case.options))

    return answer


def files_of(folder: Path) -> Answer:
    """Take results from FOLDER/CASE/NAME.npy; a case without any is skipped."""

    def answer(case: Case) -> Arrays | None:
        files = {name: folder / case.name / f"{name}.npy" for name in case.expected}
        found = {name: path for name, path in files.items() if path.is_file()}
        if not found:
            return None
        return {name: np.load(str(path), allow_pickle=False) for name, path in found.items()}

    return answer


def export(cases: list[Case], folder: Path) -> None:
    """Write every case's inputs as FOLDER/CASE/inputs/NAME.npy, and FOLDER/CASE/case.json."""
    for case in cases:
        inputs = folder / case.name / "inputs"
        inputs.mkdir(parents=True, exist_ok=True)
        for name, array in case.inputs.items():
            np.save(str(inputs / f"{name}.npy"), array)
        results = {name: list(array.shape) for name, array in case.expected.items()}
        about = {"operation": case.operation, "options": case.options, "results": results}
        (folder / case.name / "case.json").write_text(json.dumps(about, indent=1) + "\n")


def table(rows: list[Row]) -> str:
    """The rows as lines."""
    width = max([20, *(len(row.operation) for row in rows)])
    lines = [f"      {'operation':{width}}  {'cases':>6} {'worst/bound':>11}  example"]
    for row in rows:
        worst = _share_text(row.worst) if row.cases else "-"
        line = f"{row.status:4}  {row.operation:{width}}  {row.cases or '-':>6} {worst:>11}  "
        line = (line + " ".join(row.said.split())).rstrip()
        lines.append(line if len(line) <= WIDTH else line[: WIDTH - 1] + "…")
    return "\n".join(lines)


def _share_text(share: float) -> str:
    if share == 0 or 1e-3 <= share < 1e4:
        return f"{share:.3g}"
    return f"{share:.1e}" if np.isfinite(share) else str(share)


def describe(document: dict[str, Any], cases: list[Case]) -> str:
    """What there is to compute, in words."""
    lines = [f"A trace of {document['package']}, {document['created']}, seed {document['seed']}."]
    for operation, meaning in document["operations"].items():
        lines += ["", operation, f"  {meaning}"]
        for case in cases:
            if case.operation == operation:
                inputs = [f"{n} {a.dtype}{list(a.shape)}" for n, a in case.inputs.items()]
                lines += [f"  {case.name}: {json.dumps(case.options)}"]
                lines += [f"    from {_few(inputs)}", f"    to {_few(list(case.expected))}"]
    return "\n".join(lines)


def _few(names: list[str], most: int = 8) -> str:
    more = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join(names[:most] + more)


def verify(document: dict[str, Any], cases: list[Case], answer: Answer) -> int:
    """Check every operation, print the table, return the exit code."""
    names = document["operations"]
    rows = [check([case for case in cases if case.operation == name], answer) for name in names]
    print(table(rows))
    failed = [row.operation for row in rows if row.status == "FAIL"]
    held = [row.operation for row in rows if row.status == "pass"]
    skipped = f" ({len(rows) - len(held) - len(failed)} skipped)"
    if failed:
        count = f"{len(failed)} of {len(failed) + len(held)} operations fail"
        print(f"\n{count}{skipped}: {', '.join(failed)}")
        return 1
    print(f"\n{len(held)} operations hold{skipped}" if held else "\nnothing was checked")
    return 0 if held else 2


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    here = Path(__file__).resolve().parent
    parser.add_argument("answer", nargs="?", type=Path, help="a file of Python, or a folder")
    parser.add_argument("--trace", type=Path, default=here, help="default: where this file is")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="write inputs as files")
    options = parser.parse_args(arguments)
    try:
        document, cases = read_manifest(options.trace), list(read_cases(options.trace))
        if options.answer is not None:
            if not options.answer.exists():
                raise DamagedError(f"{options.answer} is not there")
            of = files_of if options.answer.is_dir() else functions_of
            return verify(document, cases, of(options.answer))
        if options.export is not None:
            export(cases, options.export)
        said = f"{len(cases)} cases are in {options.export}"
        print(said if options.export is not None else describe(document, cases))
        return 0
    except DamagedError as reason:
        print(f"verify_trace.py: {reason}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
