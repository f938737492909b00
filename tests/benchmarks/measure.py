"""Measure this package beside denoising-diffusion-pytorch 2.3.4, on the CPU, two threads each.

Two processes that wait for each other, each measured once in every round, A B A B: medians and
quartiles of each side, and of the ratio of each round's two numbers. A first round is not counted.

A  U-Net dim 64, mults (1, 2, 4), 3x32x32: training step, sampling step
B  the model of the digits: training step, sampling
C  dim 64, mults (1, 2, 4, 8), 3x64x64, batch 4: training step
D  cost per pixel, as images and batches grow
E  time to the first step, to help, to an import
F  decoding and feeding image files
G  peak memory of A (measured with A's training step)
H  A and C in bfloat16, and against PyTorch compiled, in bfloat16 and channels last
O  A's sampling step beside OpenVINO
P  share of the machine's peak that A's training step reaches
T  text to image beside diffusers: digit scenes' training step, one paint from the shell

tests/benchmarks/run makes the environments and calls this. It writes results.json and results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from bench import KERNELS, Bench
from machine import BUSY, commit, describe_machine, kernels, load, two_cores, versions
from rows import Row, table
from workloads import WORKLOADS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def measure(bench: Bench, letters: set[str], output: Path, about: dict[str, Any]) -> bool:
    """Run the workloads, and write what they found after each; whether none failed."""
    rows: list[Row] = []
    whole = True
    for names, workload in WORKLOADS:
        if not letters & set(names):
            continue
        say(f"{names}: {workload.__doc__} (load average {load()})")
        try:
            for row in workload(bench):
                rows.append(row)
                say("   " + table([row]).splitlines()[2])
                write(output, about, rows)
        except Exception as error:  # one that fails must not lose the others
            whole = False
            what = (workload.__doc__ or "").rstrip(".")
            rows.append(Row(names[0], what, failed=f"{type(error).__name__}: {error}"))
            say(f"   failed: {error}")
            write(output, about, rows)
    return whole


def write(output: Path, about: dict[str, Any], rows: list[Row]) -> None:
    """Write results.json and results.md."""
    output.mkdir(parents=True, exist_ok=True)
    everything = {**about, "rows": [row.as_json() for row in rows]}
    text = json.dumps(everything, indent=1, ensure_ascii=False)
    (output / "results.json").write_text(text + "\n", encoding="utf-8")
    (output / "results.md").write_text(report(about, rows), encoding="utf-8")


def report(about: dict[str, Any], rows: list[Row]) -> str:
    """The table, and below it where and of what it is."""
    machine = about["machine"]
    packages = about["versions"]["peer"] | about["versions"]["ours"]
    lines = [
        table(rows),
        "",
        "Medians (and quartiles) of "
        f"{about['pairs']} rounds, measured in turn, two threads each, on {machine['cpu']} "
        f"({', '.join(machine['flags'])}; {machine['cores']} cores, {machine['memory_gib']} GiB), "
        f"{machine['date']}, load average {machine['load_average']}; "
        + ", ".join(f"{name} {version}" for name, version in packages.items())
        + f"; kernels: {about['kernels']}.",
    ]
    return "\n".join(lines) + "\n"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="tests/benchmarks/run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="ABCDEFGHOPT", help="workloads, as A,C")
    parser.add_argument("--pairs", type=int, default=7, help="rounds that are counted (7)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="factor of the steps of each measurement (1)"
    )
    parser.add_argument(
        "--kernels",
        choices=("auto", "stock", "both"),
        default="auto",
        help="ours as it chooses; with MindSpore's operators alone; both, for A, and their ratio",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the results (tests/benchmarks; with --only results/benchmarks)",
    )
    parser.add_argument("--environment", metavar="FOLDER", help="keep the environments here")
    parser.add_argument("--ours", default=sys.executable, help=argparse.SUPPRESS)
    parser.add_argument("--peer", default=sys.executable, help=argparse.SUPPRESS)
    options = parser.parse_args()
    letters = set(options.only.upper().replace(",", ""))
    if unknown := letters - set("ABCDEFGHOPT"):
        parser.error(f"--only {options.only}: there is no workload {', '.join(sorted(unknown))}")
    if options.pairs < 1 or options.scale <= 0:
        parser.error("--pairs must be at least 1, and --scale positive")
    whole = letters == set("ABCDEFGHOPT")
    options.only = letters
    options.output = options.output or (HERE if whole else ROOT / "results" / "benchmarks")
    return options


def say(text: str) -> None:
    """Tell the person who waits."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure everything that was asked for; 1 when something could not be measured."""
    options = parse()
    os.environ[KERNELS] = "stock" if options.kernels == "stock" else "auto"
    machine = describe_machine() | {"used_cores": two_cores()}
    if machine["load_average"] > BUSY:
        say(f"warning: load average {machine['load_average']}: other work will show in the times")
    about = {
        "machine": machine,
        "commit": commit(ROOT),
        "pairs": options.pairs,
        "scale": options.scale,
        "kernels": options.kernels,
        "versions": {
            "ours": versions(options.ours, "ddpm-mindspore", "mindspore", "numpy"),
            "peer": versions(options.peer, "denoising-diffusion-pytorch", "torch", "ema-pytorch"),
        },
        "info": kernels(options.ours).splitlines(),
    }
    both = options.kernels == "both"
    bench = Bench(options.ours, options.peer, options.pairs, options.scale, both)
    whole = measure(bench, options.only, options.output, about)
    say(f"written to {options.output}")
    print((options.output / "results.md").read_text(encoding="utf-8"), end="")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
