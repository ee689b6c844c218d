"""A user's own file is checked by one command, and a file that cannot be says what is missing."""

import os
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feature_repo.leaks import as_lines, as_values, check, check_file, subjects_of_file, trial_world
from feature_repo.leaks.real_bars import RealBars, largest_moves
from feature_repo.leaks.world import World, releases_over
from lake.errors import ConfigError, SchemaError, SourceError
from lake.sources import tiny_market
from lake.universe import MARKET

HEAD = "import polars as pl\n\nRETURN = pl.col('close') / pl.col('close').shift(1) - 1\n"
CLEAN = HEAD + (
    "def momentum(bars):\n"
    "    return bars.select('symbol', 'event_time', RETURN.over('symbol').alias('momentum'))\n"
    "def _private(bars):\n    raise RuntimeError\n"
    "def helper(frame):\n    raise RuntimeError\n"
)
LEAKING = HEAD + (
    "def tomorrow(bars):\n    return bars.select(RETURN.shift(-1).over('symbol')).to_series()\n"
    "def fine(bars: pl.DataFrame) -> pl.LazyFrame:\n"
    "    return bars.lazy().select('symbol', 'event_time', RETURN.over('symbol').alias('fine'))\n"
)


@pytest.fixture
def file_of(tmp_path: Path):
    def write(source: str) -> Path:
        path = tmp_path / "my_features.py"
        path.write_text(source, encoding="utf-8")
        return path

    return write


def small_real_bars() -> RealBars:
    bars = tiny_market(["AAPL", "KO", MARKET], 300, seed=3)
    sessions = bars["event_time"].unique().sort().to_list()
    return RealBars(World(bars, releases_over(sessions)), "of a test", largest_moves(bars), tuple(sessions[-3:-1]))


def test_public_functions_of_bars_are_checked_and_others_are_not(file_of) -> None:
    (subject,) = subjects_of_file(file_of(CLEAN))
    checked = check(subject, trial_world(60))
    assert (checked.kind, checked.name, checked.columns, checked.passed) == ("user", "momentum", ("momentum",), True)


def test_a_leak_in_a_users_series_is_caught(file_of) -> None:
    tomorrow, fine = check_file(file_of(LEAKING), world=trial_world(60), replayed=20)
    assert tomorrow.leaks[0].column == "tomorrow"
    assert fine.passed


def test_a_forgotten_over_symbol_is_told_from_a_plain_leak(file_of) -> None:
    source = LEAKING + "def mixed(bars):\n    return bars.select(RETURN.alias('mixed')).to_series()\n"
    checked = check_file(file_of(source), world=trial_world(60), replayed=20)
    assert {one.name: one.depend_on_order for one in checked} == {
        "tomorrow": frozenset(),
        "fine": frozenset(),
        "mixed": frozenset({"mixed"}),
    }
    assert {row["column"]: row["depends_on_order"] for row in as_values(checked)}["mixed"]
    assert {row["column"]: row["mixes_symbols"] for row in as_values(checked)}["mixed"]
    lines = {line["what"].strip(): line for line in as_lines(checked)}
    assert (lines["user mixed"]["leaking"], lines["user tomorrow"]["leaking"]) == (0, 1)
    assert 'mixes symbols: without .over("symbol")' in lines["mixed"]["finding"]
    assert "mixes" not in lines["tomorrow"]["finding"]


def test_a_function_that_mixes_symbols_and_looks_ahead_as_well_leaks(file_of) -> None:
    ahead = "def ahead(bars):\n    return bars.select(RETURN.shift(-1).alias('ahead')).to_series()\n"
    scaled = "def scaled(bars):\n    return bars.select((RETURN - RETURN.mean()).alias('scaled')).to_series()\n"
    for one in check_file(file_of(HEAD + ahead + scaled), world=trial_world(60), replayed=20):
        assert not one.mixing
        assert one.leaking


def test_a_price_level_is_a_leak_unless_it_is_declared(file_of) -> None:
    level = (
        HEAD + "def ema(bars):\n    return bars.select(pl.col('close').ewm_mean(span=20).over('symbol')).to_series()\n"
    )
    (subject,) = subjects_of_file(file_of(level))
    assert {leak.how for leak in check(subject, trial_world(60)).leaks} == {"rescaled"}
    (declared,) = subjects_of_file(file_of(level + "PRICE_LEVELS = ('ema',)\n"))
    assert check(declared, trial_world(60)).passed


def test_a_file_that_changed_within_a_second_is_read_again(file_of, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python tells a cached compilation from its source by size and whole seconds."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    names = []
    for name in ("first", "other"):
        path = file_of(HEAD + f"def {name}(bars):\n    return bars['close']\n")
        os.utime(path, (1_000_000, 1_000_000))
        names += [subject.name for subject in subjects_of_file(path)]
    assert names == ["first", "other"]


def test_releases_are_given_to_a_function_that_asks_for_them(file_of) -> None:
    source = HEAD + (
        "def growth(bars, releases):\n"
        "    told = releases.sort('known_time').select(pl.col('KNOWN').alias('event_time'), 'value')\n"
        "    return bars.sort('event_time').join_asof(told, on='event_time').select('symbol', 'event_time', 'value')\n"
    )
    (as_known,) = subjects_of_file(file_of(source.replace("KNOWN", "known_time")))
    assert check(as_known, trial_world(100)).passed
    (early,) = subjects_of_file(file_of(source.replace("KNOWN", "event_time")))
    assert check(early, trial_world(100)).leaks[0].how == "replayed"


def test_features_of_a_file_are_checked(file_of) -> None:
    source = (
        "from feature_repo.compute.returns import simple_return\n"
        "from feature_repo.spec import Feature\n"
        "WEEK = Feature('return_5d', simple_return, ('close',), 6, parameters=(5,), unit='', formula='', meaning='')\n"
    )
    path = file_of(source)
    (subject,) = subjects_of_file(path)
    assert subject.warm_ups == {"return_5d": 6}
    (checked,) = check_file(path, small_real_bars(), world=trial_world(60), replayed=20)
    assert checked.passed


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = 1\n", r"holds nothing to check \(found: x\)\. A function is checked when .*docs/leaks\.md"),
        ("import nowhere_to_be_found\n", r"cannot be imported: ModuleNotFoundError: .*nowhere_to_be_found"),
        ("def broken(:\n", r"cannot be imported: SyntaxError"),
    ],
)
def test_a_file_that_cannot_be_checked_says_why(file_of, source: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        subjects_of_file(file_of(source))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    for path in (tmp_path / "none.py", tmp_path, Path(__file__).with_suffix(".txt")):
        with pytest.raises(ConfigError, match=r"There is no Python file at .*my_features\.py"):
            subjects_of_file(path)


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        ("return 3", SchemaError, "f returns a int, expected a Polars frame or Series"),
        ("return bars['close'].head(1)", SchemaError, r"f returns a Series of 1 values for \d+ bars"),
        ("return bars.select('symbol', 'close')", SchemaError, "f returns no column event_time; it has symbol, close"),
        ("return bars.select('symbol', 'event_time')", SchemaError, "there is no value to check"),
        ("return pl.concat([bars, bars])", SchemaError, "rows whose symbol and event_time are there twice"),
        ("return 1 / 0", ConfigError, r"f fails on 1 session of 3 symbols: ZeroDivisionError: .*null where"),
    ],
)
def test_a_function_that_answers_wrongly_says_how(file_of, body: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        check_file(file_of(HEAD + f"def f(bars):\n    {body}\n"), world=trial_world(60))


def test_the_example_in_the_docs_is_clean(file_of) -> None:
    page = (Path(__file__).parents[2] / "docs" / "leaks.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (checked,) = check_file(file_of(example), world=trial_world(60), replayed=20)
    assert checked.passed


def test_the_command_prints_the_first_offending_row_and_exits_with_one(
    file_of, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer

    from dagster_project.commands.leaks import leaks
    from feature_repo.leaks import subject

    monkeypatch.setattr(subject, "REPLAYED", 60)
    monkeypatch.setattr("feature_repo.leaks.real_bars", lambda *_: small_real_bars())
    app = typer.Typer()
    app.command()(leaks)
    found = CliRunner().invoke(app, [str(file_of(LEAKING))])
    assert found.exit_code == 1
    assert "1 of 2 columns leak" in found.output
    assert "Real bars: 3 symbols of a test, 300 sessions from " in found.output
    assert "replayed bar by bar" in " ".join(found.output.replace("│", " ").split())


def test_the_command_can_print_json_and_ends_well_where_nothing_leaks(file_of, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer

    from dagster_project.commands.leaks import leaks
    from feature_repo.leaks import subject

    def missing(*_) -> None:
        raise SourceError("The data package 'arch' is not installed.")

    monkeypatch.setattr(subject, "REPLAYED", 60)
    monkeypatch.setattr("feature_repo.leaks.real_bars", missing)
    app = typer.Typer()
    app.command()(leaks)
    clean = CliRunner().invoke(app, [str(file_of(CLEAN)), "--json"])
    assert clean.exit_code == 0
    assert '"passed": true' in clean.output
    told = CliRunner().invoke(app, [str(file_of(CLEAN))]).output
    assert "Real bars: none, so that a leak for one real symbol" in told
    assert "The data package 'arch' is not installed." in " ".join(told.split())
