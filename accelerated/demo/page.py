"""The page, with what it has to know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

from ..reports.words import as_script


def page(facts: Mapping[str, Any]) -> str:
    """The page, as HTML."""
    here = Path(__file__)
    template = Template(here.with_name("demo.html").read_text(encoding="utf-8"))
    words = json.loads(here.with_name("words.json").read_text(encoding="utf-8"))
    return template.substitute(words=as_script(words), facts=as_script(facts))
