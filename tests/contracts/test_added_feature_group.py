"""A feature group that is declared outside of the product has all that a group of the catalog has.

The catalog is read when it is imported, so a test of the whole way runs a process of its own with
`QUANTLAKE_FEATURE_GROUPS`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from feature_repo.catalog import PACKAGED
from feature_repo.catalog.entries import groups_of, require_whole
from lake.errors import ConfigError

ROOT = Path(__file__).parents[2]
GROUP = '''
"""A throw-away feature group: how far each open lies from the close before it."""

import numpy as np

from feature_repo.compute.kernel import Bars, kernel
from feature_repo.spec import Feature, FeatureGroup


@kernel
def opening_gap(open_: Bars, close: Bars, bars: int) -> Bars:
    """Return ``open_t / P_{t-n} - 1``."""
    out = np.full(close.size, np.nan)
    for t in range(bars, close.size):
        out[t] = open_[t] / close[t - bars] - 1
    return out


@kernel
def next_return(close: Bars) -> Bars:
    """Return ``P_{t+1} / P_t - 1``: look-ahead, for the leak checks to find."""
    out = np.full(close.size, np.nan)
    for t in range(close.size - 1):
        out[t] = close[t + 1] / close[t] - 1
    return out


def _feature(name, function, inputs, **options):
    return Feature(name, function, inputs, unit="fraction", formula="see the kernel", meaning="a trial", **options)


GAPS = FeatureGroup(
    "gaps",
    "Where each bar opens.",
    (
        _feature("opening_gap_1d", opening_gap, ("open", "close"), parameters=(1,), lookback=2),
        _feature("opening_gap_5d", opening_gap, ("open", "close"), parameters=(5,), lookback=6),
    ),
    is_online=True,
)
LEAKY = FeatureGroup("leaky", "What tomorrow brings.", (_feature("tomorrow", next_return, ("close",), lookback=1),))
'''
TABLE = """
import polars as pl
from feature_repo.catalog import PACKAGED, GROUPS, feature_of, group_of, spec_of
from feature_repo.leaks import check, subjects, trial_world
from feature_repo.materialize import update_group
from lake.clock import FixedClock
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET

assert [group.name for group in GROUPS[len(PACKAGED):]] == ["gaps", "leaky"]
lake, bars = Lake(TMP / "tables"), tiny_market(["AAA", "BBB", MARKET], 40, seed=3)
lake.merge(BARS, bars)
clock, group = FixedClock(bars["known_time"].max()), group_of("gaps")
report = update_group(lake, clock, group)
assert (report.rows, report.skipped) == (80, False), report
assert update_group(lake, clock, group).skipped
stored = lake.read(spec_of("features_gaps")).sort("symbol", "event_time")
own = bars.filter(pl.col("symbol") != MARKET).sort("symbol", "event_time")
expected = own.select((pl.col("open") / pl.col("close").shift(5).over("symbol") - 1).alias("opening_gap_5d"))
assert stored["opening_gap_5d"].to_list() == expected["opening_gap_5d"].to_list()
assert feature_of("opening_gap_1d")[0] is group
mine = [subject for subject in subjects() if subject.name in {"features_gaps", "features_leaky"}]
found = {subject.name: check(subject, trial_world(120), replayed=20) for subject in mine}
assert found["features_gaps"].passed, found["features_gaps"].leaks
assert set(found["features_leaky"].leaking) == {"tomorrow"}
"""
SERVED = """
from feature_repo.catalog import group_of, spec_of
from feature_repo.feast_store.objects import OBJECTS
from feature_repo.materialize import update_group
from feature_repo.online import OnlineReader, parity
from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import feature_store, materialize
from lake.clock import FixedClock
from lake.settings import Settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET

home, bars = Settings(home=TMP), tiny_market(["AAA", "BBB", MARKET], 40, seed=3)
lake, now = Lake.open(home), bars["known_time"].max()
lake.merge(BARS, bars)
update_group(lake, FixedClock(now), group_of("gaps"))
assert {"gaps", "leaky"} <= {thing.name for thing in OBJECTS}
with running_redis(home):
    materialize(lake, home, now)
    view = feature_store(home).get_feature_view("gaps")
    assert {"opening_gap_1d", "opening_gap_5d"} <= {field.name for field in view.features}
    reader = OnlineReader(home.model_copy(update={"online_timeout_ms": 20_000}), clock=FixedClock(now))
    served = reader.rows("gaps", ["AAA", "BBB"])
    assert parity.compare_stores(lake, home).is_equal
last = lake.read(spec_of("features_gaps")).sort("symbol", "event_time").group_by("symbol", maintain_order=True).last()
assert served.names == ["AAA", "BBB"]
assert served.columns == ["opening_gap_1d", "opening_gap_5d"]
assert served.values.tolist() == [[*row] for row in last.select(served.columns).rows()]
from dagster_project.assets.features import feature_tables
assert "features_gaps" in {asset.key.to_user_string() for asset in feature_tables}
"""


def run(folder: Path, script: str, module: str = GROUP) -> subprocess.CompletedProcess[str]:
    """Run a script in a process whose catalog also holds the groups of a module."""
    (folder / "trial_groups.py").write_text(module, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "QUANTLAKE_FEATURE_GROUPS": "trial_groups",
        "DAGSTER_TELEMETRY_ENABLED": "false",
    }
    code = f"from pathlib import Path\nTMP = Path({str(folder)!r}) / 'home'\nTMP.mkdir()\n{script}"
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=600
    )


@pytest.mark.parametrize("script", [TABLE, SERVED], ids=["table and leak checks", "Feast, online store and asset"])
def test_a_group_from_outside_follows_the_whole_way(script: str, tmp_path: Path) -> None:
    done = run(tmp_path, script)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "sentences"),
    [
        ('formula="see the kernel"', 'formula=""', ("feature 'opening_gap_1d' of group 'gaps' has no formula",)),
        (
            '"Where each bar opens."',
            '""',
            ("group 'gaps' has no meaning", "Complete the declaration where it is made"),
        ),
        ('"opening_gap_5d"', '"rsi_14"', ("two features are called 'rsi_14'",)),
        ('    "gaps"', '    "technical"', ("two groups are called 'technical'",)),
        ('    "gaps"', '    "Gaps of mine"', ("group 'Gaps of mine' needs a name of lower-case letters",)),
        ("FeatureGroup(", "dict(", ("QUANTLAKE_FEATURE_GROUPS", "'trial_groups'", "cannot be imported")),
        (GROUP, "NOTHING = 1", ("there is no FeatureGroup in it",)),
    ],
)
def test_an_entry_that_is_not_whole_names_what_is_missing(
    old: str, new: str, sentences: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert old in GROUP
    (tmp_path / "trial_groups.py").write_text(GROUP.replace(old, new), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "trial_groups", raising=False)
    with pytest.raises(ConfigError) as caught:
        require_whole((*PACKAGED, *groups_of(["trial_groups"])))
    assert all(sentence in str(caught.value) for sentence in sentences), caught.value


def test_a_module_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, "import os\nos.environ['QUANTLAKE_FEATURE_GROUPS'] = 'nowhere'\nimport feature_repo.catalog")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("lake.errors.ConfigError: "), done.stderr
    assert "names the module 'nowhere', which cannot be imported: ModuleNotFoundError" in last


def test_the_recipe_of_a_group_follows_the_source_of_its_kernels(tmp_path: Path) -> None:
    """A table is computed again when a kernel outside of `feature_repo.compute` changes."""
    script = "from feature_repo.catalog import group_of\nprint(group_of('gaps').recipe, group_of('technical').recipe)"
    before = run(tmp_path, script)
    (tmp_path / "home").rmdir()
    after = run(tmp_path, script, GROUP.replace("- bars] - 1", "- bars] - 1.0"))
    assert before.returncode == after.returncode == 0, before.stderr + after.stderr
    assert before.stdout != after.stdout
