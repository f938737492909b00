"""Build the site: tutorials, manuals, a figure with a slider, and the docstrings, with search.

    python .github/site/build.py FOLDER

needs ``pip install -r .github/site/requirements.txt`` in a clone, and a network for that alone. A
warning, as of a link that leads nowhere, is an error, and so is a page that fetches something from
elsewhere.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOUSE = "ddpm_mindspore"
HIDDEN, SHOWN = ".github", "project"
"""A folder of the repository whose pages a host of sites would leave out, and its name there."""


def modules() -> list[str]:
    """What has a page: all of the reference, and the door of the accelerated half."""
    files = sorted((ROOT / "reference").rglob("*.py"))
    names = [".".join((HOUSE, *file.relative_to(ROOT).with_suffix("").parts)) for file in files]
    found = [name.removesuffix(".__init__") for name in names]
    return [*found, f"{HOUSE}.accelerated.diffusion", f"{HOUSE}.accelerated.config"]


def gather(source: Path) -> None:
    """All that the repository holds where it lies, which links lead to, and a page a module."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in listed.stdout.splitlines():
        if not name.startswith("tests/accelerated/fixtures"):
            place = source / name.replace(f"{HIDDEN}/", f"{SHOWN}/", 1)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place)
    for page in source.rglob("*.md"):
        text = page.read_text(encoding="utf-8")
        moved = re.sub(rf"(\]\((?:\.\./)*){re.escape(HIDDEN)}/", rf"\1{SHOWN}/", text)
        page.write_text(moved, encoding="utf-8")
    for file, place in (("conf.py", ""), ("index.md", ""), ("site.css", "static")):
        (source / place).mkdir(exist_ok=True)
        shutil.copy(Path(__file__).with_name(file), source / place / file)
    (source / "api").mkdir()
    for name in modules():
        title = name.removeprefix(f"{HOUSE}.")
        page = f"# {title}\n\n```{{eval-rst}}\n.. automodule:: {name}\n```\n"
        (source / "api" / f"{title}.md").write_text(page, encoding="utf-8")


def check_search(folder: Path) -> None:
    """Raise ValueError where the script of the search would stop at a name that it has not."""
    script = (folder / "_static" / "language_data.js").read_text(encoding="utf-8")
    for name in re.findall(r"window\.Stemmer = (\w+);", script):
        if not re.search(rf"\b(?:var|class|const|function) {name}\b", script):
            raise ValueError(f"search calls its stemmer {name}, which language_data.js has not")


FETCHED = (
    r"""<(?:script|img|iframe|video|audio|source|link)\b[^>]*?\b(?:src|href)=["']?(?:https?:)?//"""
    r"""|url\(["']?(?:https?:)?//|@import"""
)
"""What makes a browser fetch something from elsewhere as it opens a page."""


def check_alone(folder: Path) -> None:
    """Raise ValueError where a page needs more than what lies beside it."""
    for kind in ("*.html", "*.css"):
        for file in folder.rglob(kind):
            found = re.search(FETCHED, file.read_text(encoding="utf-8"))
            if found:
                raise ValueError(f"{file.relative_to(folder)} fetches: {found[0]}")


def main() -> int:
    """Build into a folder; the exit code of Sphinx."""
    parser = argparse.ArgumentParser(description="Build the site.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "source"
        gather(source)
        house = Path(temporary) / HOUSE  # what is imported, whether it is installed or not
        house.mkdir()
        for part in ("reference", "accelerated"):
            (house / part).symlink_to(source / part)
        paths = os.pathsep.join((temporary, str(Path(__file__).parent)))
        environment = {**os.environ, "PYTHONPATH": paths}
        figure = [sys.executable, str(Path(__file__).with_name("figure.py")), str(source)]
        subprocess.run(figure, env=environment, check=True)
        sphinx = [sys.executable, "-m", "sphinx", "-q", "-b", "html", "-W", "--keep-going"]
        sphinx += ["-d", str(Path(temporary) / "doctrees")]
        done = subprocess.run([*sphinx, str(source), str(folder)], env=environment, check=False)
    if not done.returncode:
        from formulas import write_font

        write_font(folder)
        check_search(folder)
        check_alone(folder)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
