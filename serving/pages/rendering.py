"""Templates: every text and number of a page is made here, with autoescape on and no name undefined."""

import hashlib
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from lake.errors import QuantlakeError
from serving.api import DISCLAIMER, RefusedError
from serving.pages import formats
from serving.pages.appearance import COLOURS, SCHEMES, THEME
from serving.pages.site import is_built

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import Scope

FOLDER = Path(__file__).parent
STATIC, TEMPLATES = FOLDER / "static", FOLDER / "templates"
PAST = "Past performance is no guarantee of future results, and a band that held before may not hold again."
BETWEEN_CELLS, BETWEEN_ROWS = "\x1f", "\x1e"
"""Separators of ASCII for units and records: no text of a page holds them."""
FILTERS = (
    formats.percent,
    formats.signed,
    formats.points,
    formats.number,
    formats.price,
    formats.day,
    formats.instant,
    formats.words,
)


@cache
def templates() -> Environment:
    """Return the environment of all templates."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {function.__name__: function for function in FILTERS}
    made.globals |= {
        "cells": cells,
        "count": formats.count,
        "disclaimer": DISCLAIMER,
        "past": PAST,
        "schemes": SCHEMES,
        "has_site": is_built,
    }
    return made


def cells(rows: "Iterable[Sequence[str]]", *classes: str) -> Markup:
    """Return rows of a table as HTML, the first cell of each its head; for tables of hundreds of rows.

    All texts are escaped at once, which takes a tenth of the time of a loop over them in a template.

    Parameters
    ----------
    rows
        Texts of the cells.
    classes
        Class of each column, empty for none; ``=`` where the text of the cell, a word of ours, is its class too.

    Examples
    --------
    >>> print(cells([("2012-12-31", "<b>"), ("2012-12-28", "1.5")], "", "num"))
    <tr><th scope="row">2012-12-31</th><td class="num">&lt;b&gt;</td></tr>
    <tr><th scope="row">2012-12-28</th><td class="num">1.5</td></tr>
    """
    text = str(escape(BETWEEN_ROWS.join(BETWEEN_CELLS.join(row) for row in rows)))
    if not text:
        return Markup()
    others = "".join(_cell(number, name) for number, name in enumerate(classes[1:], 1))
    row = f'<tr><th scope="row">{{0}}</th>{others}</tr>'
    return Markup("\n".join(row.format(*line.split(BETWEEN_CELLS)) for line in text.split(BETWEEN_ROWS)))  # noqa: S704 - escaped above


def _cell(number: int, name: str) -> str:
    """HTML of a cell with a place for its text."""
    return f'<td class="{{{number}}}">{{{number}}}</td>' if name == "=" else f'<td class="{name}">{{{number}}}</td>'


def html(scope: "Scope", template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page of a template as who asks wants it to look."""
    root = root_of(scope)
    frame = {
        "theme": THEME.of(scope),
        "colours": COLOURS.of(scope),
        "root": root,
        "static": partial(static_path, root=root),
    }
    return HTMLResponse(templates().get_template(template).render(**frame, **values), status)


def root_of(scope: "Scope") -> str:
    """Return the path that the dashboard is served below: empty where it has a port of its own.

    Within a folder that Starlette mounts, such as that of the documentation, ``root_path`` is the folder's.

    Examples
    --------
    >>> root_of({"root_path": "/app"}), root_of({}), root_of({"root_path": "/app/docs", "app_root_path": "/app"})
    ('/app', '', '/app')
    """
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return root


def error_page(scope: "Scope", status: int, title: str, sentence: str) -> HTMLResponse:
    """Return the page of a refusal or a failure; it shows nothing that a login would be needed for."""
    correlation = scope.get("state", {}).get("correlation_id", "")
    return html(scope, "error.html", status, title=title, sentence=sentence, code=status, correlation=correlation)


def failure_page(scope: "Scope", error: QuantlakeError, title: str = "") -> HTMLResponse:
    """Return the page of an error that this project raises on purpose: its own sentence says what to do.

    What the endpoint refuses has the status that it refused it with; anything else is 503.

    Parameters
    ----------
    title
        What failed; by default what the endpoint calls it, or that it cannot be shown now.
    """
    if isinstance(error, RefusedError):
        return error_page(scope, error.problem.status, title or error.problem.title, str(error))
    return error_page(scope, 503, title or "Cannot be shown now", str(error))


@cache
def static_path(name: str, root: str = "") -> str:
    """Return the path of a static file with a part of its digest, so that a browser never shows an old one.

    Examples
    --------
    >>> static_path("dashboard.css").partition("?")[0], static_path("live.js", root="/app").partition("?")[0]
    ('/static/dashboard.css', '/app/static/live.js')
    """
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{root}/static/{name}?v={digest}"
