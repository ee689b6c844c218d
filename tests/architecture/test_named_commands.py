"""Commands, options, verbs and settings that the pages name are those that the parsers and the Makefile know."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.exceptions import TyperException

from benchmarks.__main__ import TOPICS
from dagster_project.cli import app
from lake.settings import Settings, variable_of
from support.pages import PAGES, ROOT, name_of, prose, shown_code

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
VERBS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
MAKE_VARIABLES = set(re.findall(r"\$\(([A-Z_]+)\)|^ifdef ([A-Z]+)", MAKEFILE, re.MULTILINE))
COMMAND = re.compile(r"(?:^|[\s/;&(])quantlake ((?![-/])[^;&)]+)")
ROUTE = re.compile(r"(?:/api/v1|/ws/v1)/[\w/{}.-]*\w|(?<![a-z])/(?:healthz|readyz|metrics|problems)\b(?:/[a-z]\w+)?")
ROUTES = [
    *re.findall(r"^\| `[A-Z]+ (\S+)`", (ROOT / "docs" / "api.md").read_text(encoding="utf-8"), re.MULTILINE),
    "/ws/v1/predictions",
]
"""Those of the generated page, and the WebSocket."""
VERB = re.compile(r"(?:^|\s)make ((?:[A-Z_]+=\S+ )*)([a-z][a-z-]*)((?: [A-Z_]+=\S+)*)")
COMMANDS = [page for page in PAGES if "adr" not in page.parts]
"""Decision records tell of the commands of their day."""
OF_OTHERS = {"--packages"}
"""Options of other programs that a page names by themselves."""
MISSPELT = {"QUANTLAKE_WORKRES"}
"""Wrong names that a page gives as examples of wrong names."""


def _options(command: Any) -> set[str]:
    return {"--help"} | {name for each in command.params for name in each.opts + each.secondary_opts}


def _found(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that the words name, or the innermost group, and the words that follow."""
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    return command, rest


def faults(code: str) -> Iterator[str]:
    """Yield what a line of code asks of `quantlake` that its parsers do not take, in their words.

    Values are not converted, so that `--keep N` will do; brackets and dots of a synopsis are left out. What is
    missing is no fault: a page may name a verb alone.
    """
    for text in COMMAND.findall(code):
        command, rest = _found(re.sub(r"[\[\]]|\.\.\.", "", text).split())
        if hasattr(command, "commands"):
            yield from (f"No such verb: {word}" for word in rest[:1])
            continue
        try:
            _, surplus, _ = command.make_parser(command.context_class(command)).parse_args(_arguments(rest))
        except TyperException as error:
            if "requires an argument" not in str(error):
                yield str(error)
        else:
            yield from (f"Too many arguments: {word}" for word in surplus)


def _arguments(words: list[str]) -> list[str]:
    """Return the words as a shell would pass them on, up to a pipe."""
    line = " ".join(words).partition(" | ")[0]
    try:
        return shlex.split(line)
    except ValueError:  # a query over several lines, which is one argument
        return [*shlex.split(line.partition('"')[0]), "query"]


@pytest.mark.parametrize("page", COMMANDS, ids=name_of)
def test_every_command_exists_with_its_options(page: Path) -> None:
    codes = shown_code(page.read_text(encoding="utf-8"))
    assert [(code, fault) for code in codes for fault in faults(code)] == []


@pytest.mark.parametrize("page", COMMANDS, ids=name_of)
def test_an_option_that_stands_alone_belongs_to_a_verb_of_its_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    alone = set(re.findall(r"`(--[a-z][a-z-]*)[^`]*`", prose(text)))
    commands = [_found(words.split())[0] for code in shown_code(text) for words in COMMAND.findall(code)]
    known = OF_OTHERS.union(*(_options(each) for command in commands for each in _with_children(command)))
    assert alone - known == set()


def _with_children(command: Any) -> Iterator[Any]:
    yield command
    for child in getattr(command, "commands", {}).values():
        yield from _with_children(child)


@pytest.mark.parametrize("page", COMMANDS, ids=name_of)
def test_every_verb_of_make_exists_with_its_variables(page: Path) -> None:
    found = [match for code in shown_code(page.read_text(encoding="utf-8")) for match in VERB.findall(code)]
    assert {verb for _, verb, _ in found} - VERBS == set()
    variables = {name for before, _, after in found for name in re.findall(r"([A-Z_]+)=", before + after)}
    taken = {name for pair in MAKE_VARIABLES for name in pair} | {variable_of(name) for name in Settings.model_fields}
    assert variables - taken - {"UV_TORCH_BACKEND"} == set()


@pytest.mark.parametrize("page", COMMANDS, ids=name_of)
def test_every_variable_is_a_setting(page: Path) -> None:
    known = MISSPELT | {variable_of(name) for name in Settings.model_fields}
    assert set(re.findall(r"\bQUANTLAKE_[A-Z_]*[A-Z]\b", page.read_text(encoding="utf-8"))) - known == set()


@pytest.mark.parametrize("page", COMMANDS, ids=name_of)
def test_every_benchmark_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"python -m benchmarks ([a-z]\w*)", text)) <= set(TOPICS)


@pytest.mark.parametrize("page", COMMANDS, ids=name_of)
def test_every_route_exists(page: Path) -> None:
    named = set(ROUTE.findall(page.read_text(encoding="utf-8")))
    assert [path for path in sorted(named) if not any(_begins(route, path) for route in ROUTES)] == []


def _begins(route: str, path: str) -> bool:
    """Whether a route begins with the parts of a path; `{name}` stands for any part."""
    parts = zip(route.split("/"), path.rstrip("/").split("/"), strict=False)
    return route.count("/") >= path.rstrip("/").count("/") and all(
        mine == theirs or mine.startswith("{") for mine, theirs in parts
    )


def test_a_route_that_is_not_known_is_found() -> None:
    assert not any(_begins(route, "/api/v1/public/predicts") for route in ROUTES)
    assert not any(_begins(route, "/healthz/deep") for route in ROUTES)
    assert any(_begins(route, "/api/v1/public/predictions/7f1c/receipt") for route in ROUTES)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("quantlake predikt AAPL", "No such verb: predikt"),
        (".venv/bin/quantlake predict AAPL --horizons 5", "No such option: --horizons"),
        ("QUANTLAKE_MARKET=desk quantlake market shew desk", "No such verb: shew"),
        ("quantlake features check my_features.py", "Too many arguments: my_features.py"),
        ("quantlake lake vacuum bars --keep=3", "No such option: --keep"),
    ],
)
def test_a_name_that_is_not_known_is_found(code: str, fault: str) -> None:
    assert [found.partition(" Did")[0].rstrip(".").partition(" (")[0] for found in faults(code)] == [fault]
