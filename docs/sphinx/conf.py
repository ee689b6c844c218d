"""Configuration of Sphinx for the documentation site; `build.py` runs it."""

from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "quantlake"
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["**/_build"]

myst_heading_anchors = 6
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "model_config, model_fields, model_computed_fields, model_post_init"}
numpydoc_show_class_members = False
default_role = "code"  # single backquotes in docstrings mark code

suppress_warnings = [
    "ref.python",  # a name that two faces give has two entries
    "misc.highlighting_failure",  # an answer that is shortened by dots is no JSON
]

html_theme = "furo"
html_title = "quantlake"
html_copy_source = False
html_show_sphinx = False


def setup(app: "Sphinx") -> None:
    """Show diagrams as their text: drawing them needs a browser at build time, or a script from a foreign host."""
    app.add_lexer("mermaid", TextLexer)
