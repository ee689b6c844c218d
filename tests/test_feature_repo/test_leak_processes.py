"""Computations in fresh processes: what one call keeps helps no other, and leaves nothing on disk."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feature_repo.leaks import FreshProcesses, LeakCheck, check, check_file, declared_subjects, trial_world
from feature_repo.leaks.counterfactuals import KeptRows, WorldPart
from feature_repo.leaks.planted_files import HONEST, LEAKING
from feature_repo.leaks.user_files import subjects_of_file
from lake.errors import ConfigError

SESSIONS, REPLAYED = 80, 20
(KEPT_STATE,) = (path for path in LEAKING if path.stem == "kept_state")
HEAD = "import os, sys\nfrom pathlib import Path\nimport polars as pl\n\nFOLDER = Path({folder!r})\n"

FEATURES = """
import numpy as np
from feature_repo.compute.kernel import Bars, Kernel
from feature_repo.leaks.subjects import group_subject
from feature_repo.spec import Feature, FeatureGroup

class Scaled(Kernel):
    spreads = []
    place = 0

    def over(self, starts, inputs, parameters, out):
        returns = np.diff(np.log(inputs[0]), prepend=np.nan)
        returns[starts[:-1]] = np.nan
        self.spreads.append((np.nanstd(returns) if starts[-1] > 1 else 0.0) or 1.0)
        out[:] = returns / self.spreads[self.place]

class ScaledAnew(Scaled):
    place = -1

def scaled(close: Bars) -> Bars:
    return close

ONCE, ANEW = (
    Feature(name, kind(scaled), ("close",), 2, unit="", formula="", meaning="")
    for name, kind in (("once", Scaled), ("anew", ScaledAnew))
)
"""
"""A feature scaled by the spread of whatever history came first, and one scaled by that of the history it is given."""
DECLARED = """
def declared():
    return tuple(group_subject(FeatureGroup(one.name, "", (one,))) for one in (ONCE, ANEW))
"""


def names_in(path: Path) -> list[str]:
    return [subject.name for subject in subjects_of_file(path)]


@pytest.fixture(scope="module")
def with_state() -> dict[str, LeakCheck]:
    return {one.name: one for one in check_file(KEPT_STATE, world=trial_world(SESSIONS), replayed=REPLAYED)}


@pytest.fixture(scope="module")
def honest() -> dict[str, LeakCheck]:
    return {one.name: one for one in check_file(HONEST, world=trial_world(SESSIONS), replayed=REPLAYED)}


@pytest.mark.parametrize("name", names_in(KEPT_STATE))
def test_state_kept_between_calls_is_caught(with_state: dict[str, LeakCheck], name: str) -> None:
    assert "replayed" in {leak.how for leak in with_state[name].leaks}


def test_what_differs_from_the_second_call_on_is_said(with_state: dict[str, LeakCheck]) -> None:
    assert "called again" in {leak.how for leak in with_state["from_the_second_call_on"].leaks}


@pytest.mark.parametrize("name", names_in(HONEST))
def test_an_honest_function_that_looks_like_one_is_not_flagged(honest: dict[str, LeakCheck], name: str) -> None:
    assert honest[name].passed, honest[name].leaks[:2]


@pytest.fixture
def check_source(tmp_path: Path):
    """Return a check of a source text; the text's FOLDER is a folder of the test's."""

    def check(source: str) -> LeakCheck:
        path = tmp_path / "code" / "my_features.py"
        path.parent.mkdir()
        path.write_text(HEAD.format(folder=str(tmp_path)) + source, encoding="utf-8")
        (checked,) = check_file(path, world=trial_world(SESSIONS), replayed=REPLAYED)
        return checked

    return check


def test_truncated_worlds_come_first_and_the_whole_one_last_and_alone(check_source, tmp_path: Path) -> None:
    """A log that was there before tells which process saw how many sessions, in which order."""
    (tmp_path / "log").touch()
    check_source(
        "def f(bars):\n"
        "    with (FOLDER / 'log').open('a') as log:\n"
        "        print(os.getpid(), bars['event_time'].n_unique(), bars.height, file=log)\n"
        "    return bars['close'] / bars['open']\n"
    )
    calls = [tuple(map(int, line.split())) for line in (tmp_path / "log").read_text().splitlines()]
    (first, *_), (last, *_) = calls[0], calls[-1]
    assert [sessions for process, sessions, _ in calls if process == first] == [*range(61, 81)]
    whole = trial_world(SESSIONS).bars.height
    assert [height for process, _, height in calls if process == last] == [whole, whole]
    assert len({process for process, _, _ in calls}) == len(calls) - (REPLAYED - 1) - 1


def test_each_process_imports_the_file_and_its_neighbours_anew(check_source, tmp_path: Path) -> None:
    (tmp_path / "log").touch()
    (tmp_path / "code_helper.py").write_text("SEEN = []\n", encoding="utf-8")
    checked = check_source(
        "sys.path.insert(0, str(FOLDER))\nimport code_helper\n"
        "def f(bars):\n"
        "    code_helper.SEEN.append(bars.height)\n"
        "    return bars.select(pl.lit(float(code_helper.SEEN[0])).repeat_by(1).explode().alias('x')).to_series()"
        " if bars.height == 1 else pl.Series([float(code_helper.SEEN[0])] * bars.height)\n"
    )
    assert not checked.passed


def test_what_a_function_writes_is_gone_and_what_was_there_stays(check_source, tmp_path: Path) -> None:
    (tmp_path / "before.txt").write_text("mine", encoding="utf-8")
    check_source(
        "def f(bars):\n"
        "    (FOLDER / 'made').mkdir(exist_ok=True)\n"
        "    (FOLDER / 'made' / 'text.json').write_text('1')\n"
        "    bars.write_parquet(FOLDER / 'frame.parquet')\n"
        "    (FOLDER / 'draft').write_text('1')\n"
        "    (FOLDER / 'draft').rename(FOLDER / 'final')\n"
        "    (FOLDER / 'before.txt').write_text('changed')\n"
        "    return bars['close'] / bars['open']\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["before.txt", "code"]
    assert [path.name for path in (tmp_path / "code").iterdir()] == ["my_features.py"]


def test_what_a_function_prints_is_printed_once_and_disturbs_nothing(check_source, capfd) -> None:
    assert check_source(
        "def f(bars):\n    print('hello', bars.height)\n    return bars['close'] / bars['open']\n"
    ).passed
    told = capfd.readouterr()
    assert told.out == ""
    assert 1 <= told.err.count("hello") <= REPLAYED


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("os._exit(3)", r"computed f of .*my_features\.py over \d+ sessions ended with status 3 .*must not end"),
        ("sys.exit(2)", r"ended with status 1 and without an answer"),
        ("os.kill(os.getpid(), 9)", r"ended with status -9 "),
        ("raise KeyError('x')", r"f fails on \d+ sessions? of 4 symbols: KeyError: 'x'\. It is replayed from"),
        ("return pl.Series([object()] * bars.height, dtype=pl.Object)", r"f cannot be checked: "),
        (
            "from lake.errors import UnknownNameError\n    raise UnknownNameError('symbol', 'X', ['Y'])",
            r"There is no symbol 'X'\. Known: Y\.",
        ),
    ],
)
def test_what_goes_wrong_in_a_process_is_told_here(check_source, body: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        check_source(f"def f(bars):\n    {body}\n")


def test_a_feature_of_a_file_that_is_fitted_on_the_first_call_is_caught(check_source) -> None:
    """Its rows are the same in every world that one process computes, whatever that was fitted on."""
    assert {"replayed", "cut off"} <= {leak.how for leak in check_source(f"{FEATURES}\ndel ANEW\n").leaks}


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], str]]:
    """Return a maker of importable modules that declare subjects."""
    folder = tmp_path_factory.mktemp("declared")

    def make(name: str, source: str) -> str:
        (folder / f"{name}.py").write_text(source, encoding="utf-8")
        return f"{name}:declared"

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield make


@pytest.fixture(scope="module")
def here_and_there(declared) -> dict[str, tuple[LeakCheck, LeakCheck]]:
    """Return each declared feature as checked in this process and in fresh ones."""
    name, world = declared("trial_features", FEATURES + DECLARED), trial_world(SESSIONS)
    with FreshProcesses(name) as processes:
        return {
            one.name: (
                check(one, world, replayed=REPLAYED),
                check(one, world, replayed=REPLAYED, answers=processes.answers_of(one.name)),
            )
            for one in declared_subjects([name])
        }


def test_what_is_declared_and_keeps_state_is_caught_in_fresh_processes_alone(here_and_there) -> None:
    here, there = here_and_there["features_once"]
    assert here.passed
    assert {"replayed", "cut off"} <= {leak.how for leak in there.leaks}


def test_a_leak_without_state_is_found_alike_in_fresh_processes(here_and_there) -> None:
    here, there = here_and_there["features_anew"]
    assert there.leaks == here.leaks != ()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("import polars as pl\npl.DataFrame({'a': [1, 2]}).select(pl.col('a').sum())", "computes a Polars frame"),
        ("raise RuntimeError('not today')", "The process that imports trial_bad:declared ended"),
    ],
    ids=["computes", "raises"],
)
def test_a_declaration_that_no_fork_could_compute_is_refused(declared, body: str, says: str) -> None:
    world = trial_world(SESSIONS)
    name = declared("trial_bad", f"{body}\n\ndef declared():\n    return ()\n")
    with FreshProcesses(name) as processes, pytest.raises(ConfigError, match=says):
        processes.answers(["nothing"], [WorldPart(world, KeptRows("event_time"))])
