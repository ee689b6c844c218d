"""The page of the command line, from its parsers, and of every setting: `python -m dagster_project.document`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from dagster_project.cli import app
from lake.settings import Settings, variable_of

PAGE = Path(__file__).parents[1] / "docs" / "command-line.md"

HEAD = """\
# The command line

Generated from the parsers by `python -m dagster_project.document`; a test keeps it up to date. `quantlake` is in
`.venv/bin`; the verbs of `make` call it.

## What all verbs have in common

* **Tables** are as wide as the terminal, or as `COLUMNS` says; in a file or a pipe 118 columns, without colours. No id,
  symbol or number is cut: prose wraps, and where that is not enough the least important columns are left out and named
  below the table.
* **`--json`** prints one document and nothing else: numbers as numbers, times in ISO 8601 with their zone, `null` for
  what is not known. **`--csv`** prints the table with a header line, of several tables the first. Verbs without the two
  print sentences about what they did.
* **`demo`, `run`, `advance`, `update`** with one of the two print their progress on standard error. The document says
  `outcome` (`done`, `nothing_to_do`, or `planned` with `--plan`), `now`, `seconds`, what was made, the version of every
  table, and the forecasts as the endpoint gives them; of `update` the stages. CSV holds the forecasts, or the stages.
* **Errors** are one sentence behind their kind, on standard error:
  `UnknownNameError: There is no symbol 'APPL'. Did you mean AAPL?`. The kinds are those of `lake/errors.py`.
* **Exit codes**: 0 done; 1 an error, a check that failed, or a question answered with no; 2 a command line that is not
  understood; 130 after Ctrl-C, with the sentence that says what goes on from there.
* **Settings** come from the environment. `quantlake settings` shows each with the value in force and where it came
  from, passwords and keys masked. A variable that begins with `QUANTLAKE_` and is no setting is refused with the
  nearest name.
* **Before long work** `demo` and `run` say what is trained the first time: windows, folds, models, trials, and the
  longest it takes where this home has trained before. `--plan` says it and ends.
* **At the prompt** of `quantlake sql` the arrow keys bring back earlier lines; `sql_history` in the home keeps 1,000.

## Verbs
"""


SETTINGS = """
## Settings

`quantlake settings` shows the values in force. A value is read from the environment and nowhere else.

| variable | default | meaning |
|---|---|---|
"""


def command_page() -> str:
    """Return the page as Markdown: each verb with what it does, its arguments and its options, then every setting."""
    verbs = "".join(_sections(typer.main.get_command(app), "quantlake"))
    return HEAD + verbs + SETTINGS + "".join(_settings())


def _settings() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        default = "" if field.default in {None, ""} else f"`{field.default}`"
        shown = "from the machine" if field.default_factory is not None else default
        yield f"| `{variable_of(name)}` | {shown} | {_cell(field.description or '')} |\n"


def _sections(command: Any, name: str) -> Iterator[str]:
    """Yield a section for each verb; those of a group follow one another."""
    for word, child in command.commands.items():
        path = f"{name} {word}"
        if hasattr(child, "commands"):
            yield from _sections(child, path)
        else:
            yield "".join(_section(child, path))


def _section(verb: Any, path: str) -> Iterator[str]:
    arguments = [each for each in verb.params if each.param_type_name == "argument"]
    options = [each for each in verb.params if each.param_type_name == "option"]
    words = "".join(f" {_word(each)}" for each in arguments)
    yield f"\n### `{path}{words}`\n\n{_plain(verb.help or '')}\n"
    if arguments or options:
        yield "\n| | |\n|---|---|\n"
    for each in arguments:
        yield f"| `{_word(each)}` | {_cell(each.help or '')} |\n"
    for each in options:
        default = "" if _is_obvious(each.default) else f" Default: `{each.default}`."
        yield f"| `{', '.join(each.opts)}` | {_cell(each.help or '')}{default} |\n"


def _word(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _is_obvious(default: Any) -> bool:
    return default in (None, "", False) or callable(default)


def _plain(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(command_page(), encoding="utf-8")
