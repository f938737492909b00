"""What a person meets who has installed the base alone, for the reference."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import requires

import pytest

from ddpm_mindspore.accelerated.commands.extras import missing_package
from ddpm_mindspore.accelerated.commands.table import COMMANDS as TABLE

# As if only this package and what it needs without an extra were installed.
BASE_ONLY = """
import contextlib, io, json, sys
there = set(sys.stdlib_module_names) | {"ddpm_mindspore", *sys.argv[1].split(",")}
finders = sys.meta_path[:]

class OnlyThere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in there or name.startswith("_sysconfigdata"):
            found = (finder.find_spec(name, path, target) for finder in finders)
            return next(filter(None, found), None)

sys.meta_path[:] = [OnlyThere()]
"""
COMMANDS = """
from ddpm_mindspore.accelerated.cli import main
said = {}
for command in sys.argv[2:]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        with contextlib.redirect_stderr(io.StringIO()) as err:
            code = main(command.split())
    said[command] = (code, out.getvalue(), err.getvalue())
print(json.dumps(said))
"""


def with_base_only(program: str, *args: str) -> subprocess.CompletedProcess[str]:
    names = (re.split(r"[^\w-]", line)[0] for line in requires("ddpm-mindspore") or ())
    base = {
        name
        for name, line in zip(names, requires("ddpm-mindspore") or (), strict=True)
        if "extra ==" not in line
    }
    assert base == {"numpy", "scipy", "autograd"}
    return subprocess.run(
        [sys.executable, "-c", BASE_ONLY + program, ",".join(base), *args],
        capture_output=True,
        text=True,
    )


def test_every_command_says_what_it_needs() -> None:
    done = with_base_only(COMMANDS, *TABLE, *(f"{name} --help" for name in TABLE), "--help")
    said = json.loads(done.stdout)
    for name, command in TABLE.items():
        extra = "parity" if name == "parity" else "accelerated"
        needs = (
            rf'ddpm-mindspore {name} needs more than is installed \(\w+\): pip install "ddpm-'
            rf'mindspore\[{extra}\]"\n'
        )
        code, out, err = said[name]
        assert (code, out) == (2, "") and re.fullmatch(needs, err)
        code, out, err = said[f"{name} --help"]
        assert (code, err) == (0, "") and command.text in out and re.search(needs, out)
    assert said["--help"][0] == 0 and "COMMAND --help" in said["--help"][1]


def test_the_door_for_python_says_what_it_needs() -> None:
    done = with_base_only("from ddpm_mindspore.accelerated import Unet")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ImportError: ddpm_mindspore.accelerated.Unet needs more than is installed (mindspore): "
        'pip install "ddpm-mindspore[accelerated]"'
    )


def test_the_reference_needs_no_extra() -> None:
    done = with_base_only("import ddpm_mindspore.reference.training")
    assert done.returncode == 0, done.stderr


def test_an_error_in_what_is_installed_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_package(ModuleNotFoundError(name="no_such_package.part")) == "no_such_package"
    assert missing_package(ModuleNotFoundError(name="json.no_such_part")) == ""
    assert missing_package(ModuleNotFoundError(name="ddpm_mindspore.no_such_part")) == ""
    assert missing_package(ModuleNotFoundError("nameless")) == ""


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "ddpm_mindspore.accelerated", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("usage: ddpm-mindspore COMMAND")
