"""Where things live: who may import what, who has a twin, who touches global state, how long."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PARTS = ("reference", "accelerated", "parity")
HOUSE = "ddpm_mindspore"

# What a part may use of the other parts.
MAY_USE = {
    "reference": ("reference",),
    # Of the reference: what runs on the host, which is written once.
    "accelerated": (
        *("accelerated", "reference.config", "reference.plain", "reference.schedule"),
        *("reference.levels", "reference.text", "reference.networks.initial"),
        *("reference.networks.lora", "reference.tasks.inpainting.shown"),
        "reference.tasks.inpainting.without_hidden",
        "reference.evaluation",
        *("reference.ema.post_hoc_weights", "reference.ema.power_weight"),
        *("reference.ema.profile_error", "reference.objective.loss_weight"),
        *("reference.optimizer.decays", "reference.optimizer.ema_weight"),
        *("reference.optimizer.learning_rate", "reference.precision"),
        *("reference.degradations", "reference.tasks.paths", "reference.tasks.inversion"),
        *("reference.tasks.restoration.weights", "reference.tasks.restoration.check_sigma"),
        *("reference.tasks.posterior_sampling.check_scale", "reference.tasks.super_resolution"),
        *("reference.tasks.editing.from_strength", "reference.tasks.interpolation.slerp"),
        *("reference.noise", "reference.times"),
        *("reference.spacing", "reference.samplers.common.Level"),
        *("reference.samplers.common.walk_down", "reference.samplers.churn.Churn"),
        *("reference.samplers.polynomial", "reference.samplers.plms.HISTORY"),
        *("reference.samplers.dpmpp_2s.middle", "reference.samplers.deis.check_order"),
        *("reference.samplers.unipc.check_order", "reference.samplers.unipc.weights"),
        "reference.bound.LEVELS",
    ),
    "parity": PARTS,
}
# The command line opens all three parts, each only when it is asked for.
DOOR = ("accelerated/commands/table.py", f"{HOUSE}.parity.report.command")
# A text "module:name", as an entry point is written, stands for an import.
ENTRY = re.compile(rf"((?:\.+|{HOUSE}\.)[\w.]+):\w+")
IMPORT_NAMES = {"pillow": "PIL"}

# The one file that may change what the whole process does, and what counts as that.
RUNTIME = Path("accelerated", "system", "runtime.py")
GLOBAL_STATE = {
    "set_auto_parallel_context",
    "set_context",
    "set_cpu_affinity",
    "set_deterministic",
    "set_device",
    "set_recursion_limit",
    "set_seed",
    "dispatch_threads_num",
    "init",  # of mindspore.communication
}
ENVIRONMENT = {"os.putenv", "os.unsetenv"} | {
    f"os.environ.{method}" for method in ("clear", "pop", "popitem", "setdefault", "update")
}


def third_party(part: str) -> set[str]:
    """The packages that a part's extra declares; the student's half has no extra of its own."""
    declared = list(PROJECT["project"]["dependencies"])
    extras = PROJECT["project"]["optional-dependencies"]
    wanted = {"reference": (), "accelerated": ("accelerated",), "parity": ("accelerated", "parity")}
    for extra in wanted[part]:
        declared += extras[extra]
    names = {re.split(r"[^\w-]", requirement)[0] for requirement in declared}
    if part == "accelerated":
        names.add("torch")  # only to read the other package's own files, and only if it is there
        names.add("tensorboardX")  # an extra of its own: only when it is asked for
        names.discard("autograd")  # gradients are MindSpore's own there
    return {IMPORT_NAMES.get(name, name) for name in names}


def imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[int, str, bool]]:
    """Yield (line, full dotted name, written relatively) of every import, wherever it stands."""

    def parent(level: int) -> tuple[str, ...]:
        return package[: len(package) - level + 1] if level else ()

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, False
        elif isinstance(node, ast.ImportFrom):
            base = (*parent(node.level), *(node.module or "").split("."))
            for alias in node.names:
                yield node.lineno, ".".join(filter(None, (*base, alias.name))), node.level > 0
        elif isinstance(node, ast.Call) and node.args:
            name, first = ast.unparse(node.func), node.args[0]
            if name in ("__import__", "import_module", "importlib.import_module"):
                module = first.value if isinstance(first, ast.Constant) else "(a computed name)"
                # A second argument anchors a relative name in the package of the file.
                if len(node.args) < 2 or not ast.unparse(node.args[1]).startswith("__"):
                    yield node.lineno, str(module), False
        elif isinstance(node, ast.Constant) and (entry := ENTRY.fullmatch(str(node.value))):
            inside = entry[1].lstrip(".")
            level = len(entry[1]) - len(inside)
            yield node.lineno, ".".join((*parent(level), inside)), level > 0


def bindings(tree: ast.AST) -> dict[str, str]:
    """Map each local name that an import makes to what it stands for: ms -> mindspore."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                plain = alias.name.split(".")[0]
                names[alias.asname or plain] = alias.name if alias.asname else plain
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def global_state(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield (line, what) of every change to MindSpore's, NumPy's or the process's state."""
    names = bindings(tree)

    def full(node: ast.expr) -> str:
        first, _, rest = ast.unparse(node).partition(".")
        return ".".join(filter(None, (names.get(first, first), rest)))

    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = full(node.func)
            of_mindspore = name.startswith("mindspore.") and name.split(".")[-1] in GLOBAL_STATE
            if of_mindspore or name in ENVIRONMENT or name == "numpy.random.seed":
                yield node.lineno, name
        elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            if full(node.value) == "os.environ":
                yield node.lineno, "os.environ[...]"
        elif isinstance(node, ast.AugAssign) and full(node.target) == "os.environ":
            yield node.lineno, "os.environ |= ..."


def fault(part: str, is_test: bool, name: str, relative: bool) -> str | None:
    """Say what is wrong with one import, None if nothing is."""
    top, _, inside = name.partition(".")
    if top == HOUSE:
        if relative == is_test:
            return "tests import absolutely" if is_test else "library files import relatively"
        if not any(f"{inside}.".startswith(f"{allowed}.") for allowed in MAY_USE[part]):
            return f"{part}/ may not use it"
    elif relative:
        return "leads out of the package"
    elif top not in sys.stdlib_module_names and top not in third_party(part):
        return f"{part}/ may not use it, or pyproject.toml does not declare it"
    return None


def offences(root: Path) -> list[str]:
    """All breaches of the rules in the three parts under ``root``, as "file:line: what"."""
    found = []
    for path in sorted(file for part in PARTS for file in (root / part).rglob("*.py")):
        file = path.relative_to(root)
        part, *_, last = file.parts
        is_test = part == "parity" and last.startswith(("test_", "conftest."))
        tree = ast.parse(path.read_text(), str(path))
        for line, name, relative in imported(tree, (HOUSE, *file.parts[:-1])):
            wrong = fault(part, is_test, name, relative)
            if wrong and (str(file), name) != DOOR:
                found.append(f"{file}:{line}: imports {name}: {wrong}")
        if file != RUNTIME:
            for line, name in global_state(tree):
                found.append(f"{file}:{line}: {name}: only {RUNTIME} changes global state")
    return found


def test_every_part_keeps_the_rules() -> None:
    found = offences(ROOT)
    assert not found, "\n".join(found)


PLANTED = [
    ("reference/a.py", "import mindspore", "imports mindspore"),
    ("reference/a.py", "def f():\n    from mindspore import ops", "2: imports mindspore.ops"),
    ("reference/a.py", "import torch", "imports torch"),
    ("reference/a.py", "import PIL.Image", "imports PIL.Image"),
    ("reference/a.py", "from ..accelerated import unet", "reference/ may not use it"),
    ("reference/samplers/a.py", "from ...parity import page", "reference/ may not use it"),
    ("reference/a.py", "from ... import x", "leads out of the package"),
    ("reference/a.py", "from ddpm_mindspore.reference import unet", "import relatively"),
    ("reference/a.py", "__import__('mindspore')", "imports mindspore"),
    ("reference/a.py", "import importlib\nimportlib.import_module(n)", "2: imports (a computed"),
    ("accelerated/a.py", "from ..reference.process import q_sample", "reference.process.q_sample"),
    ("accelerated/a.py", "from ..reference import unet", "imports ddpm_mindspore.reference.unet"),
    ("accelerated/data/a.py", "from ...reference import Schedule", "accelerated/ may not use it"),
    ("accelerated/a.py", "from ..reference import schedules", "accelerated/ may not use it"),
    ("accelerated/a.py", "import ddpm_mindspore.parity", "library files import relatively"),
    ("accelerated/a.py", "from ..parity import page", "accelerated/ may not use it"),
    ("accelerated/a.py", "import autograd.numpy", "imports autograd.numpy"),
    ("accelerated/a.py", "import hypothesis", "imports hypothesis"),
    ("parity/a.py", "import torch", "imports torch"),
    ("parity/a.py", "from ddpm_mindspore.reference import unet", "import relatively"),
    ("parity/test_a.py", "from .examples import values", "tests import absolutely"),
    ("accelerated/a.py", "import mindspore as ms\nms.set_device('CPU')", "2: mindspore.set_device"),
    ("accelerated/a.py", "from mindspore import set_context as s\ns()", "mindspore.set_context"),
    ("accelerated/a.py", "import mindspore\nmindspore.set_recursion_limit(9)", "recursion_limit"),
    ("parity/a.py", "from mindspore import context\ncontext.set_context()", "set_context"),
    ("parity/conftest.py", "import mindspore as ms\nms.set_seed(1)", "mindspore.set_seed"),
    (
        "accelerated/a.py",
        "from mindspore import communication as c\nc.init()",
        "communication.init",
    ),
    ("accelerated/a.py", "import numpy as np\nnp.random.seed(1)", "numpy.random.seed"),
    ("accelerated/a.py", "import_module('jax')", "jax"),
    ("accelerated/a.py", "import_module('ddpm_mindspore.parity.report.command')", "report.command"),
    ("accelerated/commands/a.py", "RUN = 'ddpm_mindspore.parity.report.command:run'", "t.command"),
    ("accelerated/commands/table.py", "A = 'ddpm_mindspore.parity.report.page:run'", "report.page"),
    (
        "accelerated/commands/table.py",
        "A = '...parity.report.page:run'",
        "accelerated/ may not use",
    ),
    ("accelerated/test_a.py", "from ddpm_mindspore.accelerated import unet", "relatively"),
    ("accelerated/a.py", "import os\nos.environ['A'] = 'b'", "os.environ"),
    ("accelerated/a.py", "from os import environ as e\ndel e['A']", "os.environ"),
    ("accelerated/a.py", "import os\nos.environ.setdefault('A', 'b')", "os.environ.setdefault"),
    ("accelerated/a.py", "import os\nos.environ |= {}", "os.environ |="),
    ("accelerated/runtime.py", "import os\nos.putenv('A', 'b')", "os.putenv"),
]


@pytest.mark.parametrize(("file", "source", "told"), PLANTED)
def test_a_planted_breach_is_found(tmp_path: Path, file: str, source: str, told: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    (found,) = offences(tmp_path)
    assert found.startswith(f"{file}:")
    assert told in found


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("reference/samplers/a.py", "from ..schedule import Schedule\nfrom . import ddim"),
        ("reference/a.py", "import autograd.numpy as np\nfrom scipy import stats\nimport json"),
        ("accelerated/a.py", "from ..reference.schedule import make_schedule"),
        ("accelerated/data/a.py", "from ...reference import config, schedule\nimport PIL.Image"),
        ("accelerated/a.py", "import os\nhome = os.environ.get('A')\nother = os.environ['B']"),
        ("accelerated/a.py", "from .system import runtime\nruntime.set_device('CPU')"),
        ("accelerated/a.py", "import_module('.unet', __name__)\nimport_module(name, __package__)"),
        ("accelerated/commands/table.py", "A = 'ddpm_mindspore.parity.report.command:run'"),
        ("accelerated/commands/table.py", "A = ['..config:RunConfig', '.train:train', 'a: b:c']"),
        ("accelerated/system/runtime.py", "import os, mindspore\nos.environ['A'] = 'b'"),
        ("parity/a.py", "from ..accelerated import unet\nfrom ..reference import unet as u"),
        ("parity/test_a.py", "from ddpm_mindspore.parity.examples.values import images"),
    ],
)
def test_what_is_allowed_passes(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert offences(tmp_path) == []


def test_every_package_is_shipped_under_the_house_name() -> None:
    setuptools = PROJECT["tool"]["setuptools"]
    folders = {
        path.parent.relative_to(ROOT) for part in PARTS for path in ROOT.glob(f"{part}/**/*.py")
    }
    assert sorted(setuptools["packages"]) == sorted(".".join((HOUSE, *f.parts)) for f in folders)
    assert setuptools["package-dir"] == {f"{HOUSE}.{part}": part for part in PARTS}
    for folder in folders:
        assert (ROOT / folder / "__init__.py").is_file(), folder
    for part in PARTS:
        assert (ROOT / part / "py.typed").is_file()
        assert "py.typed" in setuptools["package-data"][f"{HOUSE}.{part}"]


# What only the accelerated side has: folders about machines, files and people ...
ENGINEERING = {
    "commands", "data", "demo", "kernels", "obedience", "reports", "runs", "system", "trainer",
    "weights",
}  # fmt: skip
# ... and modules that the reference does without, or has in another form.
UNMATCHED = {
    "__init__", "__main__", "batch", "choices", "cli", "config", "diffusion", "randomness",
    "sequences", "networks/attention",
    "networks/convolutions", "networks/network", "networks/operators", "samplers/plan",
}  # fmt: skip
LONGEST = 300


def misplaced(root: Path) -> list[str]:
    """All files of the three parts under ``root`` that stand where nobody would look for them."""
    found = []
    for path in sorted((root / "accelerated").rglob("*.py")):
        file = path.relative_to(root / "accelerated")
        matched = file.name == "__init__.py" or (root / "reference" / file).is_file()
        excepted = file.parts[0] in ENGINEERING or file.with_suffix("").as_posix() in UNMATCHED
        if not (matched or excepted):
            found.append(f"accelerated/{file}: reference/ has none; it may belong into a folder")
    for path in sorted((root / "parity").rglob("*.py")):
        file = path.relative_to(root / "parity")
        is_property = file.name.startswith("test_") or file.name == "conftest.py"
        if file.name != "__init__.py" and is_property != (len(file.parts) == 1):
            found.append(f"parity/{file}: properties stand at the top, machinery in folders")
    return found


def too_long(root: Path) -> list[str]:
    """All files of the three parts that are long, and do not begin with why they are."""
    found = []
    for path in sorted(file for part in PARTS for file in (root / part).rglob("*.py")):
        lines = path.read_text().splitlines()
        if len(lines) > LONGEST and not re.search(r"\blong\b", " ".join(lines[:10])):
            found.append(
                f"{path.relative_to(root)}: {len(lines)} lines: say at its top why it is long"
            )
    return found


def test_everything_is_where_one_looks_for_it() -> None:
    found = misplaced(ROOT) + too_long(ROOT)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("file", "told"),
    [
        ("accelerated/a.py", "reference/ has none"),
        ("accelerated/networks/a.py", "reference/ has none"),
        ("accelerated/machines/a.py", "reference/ has none"),
        ("parity/a.py", "machinery in folders"),
        ("parity/sides/test_a.py", "properties stand at the top"),
    ],
)
def test_a_file_in_the_wrong_room_is_found(tmp_path: Path, file: str, told: str) -> None:
    for name in (file, "accelerated/b.py", "reference/b.py", "accelerated/system/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (found,) = misplaced(tmp_path)
    assert found.startswith(f"{file}: ")
    assert told in found


def test_a_long_file_says_why_it_is(tmp_path: Path) -> None:
    path = tmp_path / "parity" / "a.py"
    path.parent.mkdir()
    path.write_text("x = 1\n" * LONGEST)
    assert too_long(tmp_path) == []
    path.write_text("x = 1\n" * (LONGEST + 1))
    assert too_long(tmp_path) == ["parity/a.py: 301 lines: say at its top why it is long"]
    path.write_text('"""One table, and therefore long."""\n' + "x = 1\n" * LONGEST)
    assert too_long(tmp_path) == []
