"""The page of the command line follows the parsers, and names every verb."""

from dagster_project.document import PAGE, command_page
from lake.settings import Settings, variable_of


def test_the_page_of_the_command_line_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == command_page(), "run `python -m dagster_project.document`"


def test_every_verb_has_its_section_with_its_options() -> None:
    page = command_page()
    for verb in ("predict SYMBOLS...", "sql [QUERY]", "settings [VARIABLE]", "forecasts quarantine release NUMBER"):
        assert f"### `quantlake {verb}`" in page
    assert "| `--horizon` |" in page


def test_every_setting_is_on_the_page() -> None:
    page = command_page()
    assert all(f"| `{variable_of(name)}` |" in page for name in Settings.model_fields)
