"""Sphinx's configuration of the site; ``build.py`` beside it makes what it reads."""

from __future__ import annotations

from typing import Any

from sphinx.search.zh import SearchChinese

project = "ddpm-mindspore"
extensions = ["myst_parser", "sphinx.ext.autodoc", "formulas"]
html_theme = "furo"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_title = project
html_show_copyright = False
root_doc = "index"
html_search_language = "zh"  # jieba cuts Chinese into words; English ones are found too
exclude_patterns = ["project/site"]
suppress_warnings = ["toc.not_included"]  # licences of data, which other pages lead to

# The pages are written for GitHub, and read here as they are.
myst_enable_extensions = ["dollarmath"]
myst_update_mathjax = False
myst_dmath_allow_digits = False
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3

autodoc_mock_imports = ["mindspore"]
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "undoc-members": True, "ignore-module-all": True}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
# Names that the modules give to longer types: a signature shows the name.
_NAMES = (
    *("Array", "Arrays", "Average", "Denoiser", "Draw", "ImageSize", "Params", "Predict"),
    *("Probe", "Shapes", "Sides", "Table", "Times"),
)
autodoc_type_aliases = {name: name for name in _NAMES}


class Search(SearchChinese):
    """With the stemmer that its script has: Sphinx 9.0 calls it by a name that is not there."""

    language_name = "English"


def setup(app: Any) -> None:
    """Show docstrings as they are: plain text, with formulas in columns; say what is Chinese."""
    app.connect("autodoc-process-docstring", _as_it_is)
    app.connect("html-page-context", _in_its_language)
    app.add_search_language(Search)


def _as_it_is(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    if any(lines):
        lines[:] = [".. code-block:: text", "", *(f"    {line}" for line in lines), ""]


def _in_its_language(app: Any, name: str, template: str, context: Any, doctree: Any) -> None:
    context["language"] = "zh-CN" if name.endswith(".zh") else "en"
