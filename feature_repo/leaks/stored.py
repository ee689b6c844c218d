"""A stored table under the checks: a few symbols of the real lake, a few cuts, and the rows as they were stored."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import version
from pathlib import Path

import numpy as np
import polars as pl

from feature_repo.catalog import GROUPS
from feature_repo.leaks import counterfactuals
from feature_repo.leaks.comparing import Closeness, Leak, differences
from feature_repo.leaks.counterfactuals import CUT_OFF, compare, in_this_process
from feature_repo.leaks.real_bars import named_as_generated
from feature_repo.leaks.report import LeakCheck
from feature_repo.leaks.subject import LeakSubject
from feature_repo.leaks.subjects import group_subject, label_subject, regime_subject
from feature_repo.leaks.world import RELEASES, World
from feature_repo.regimes import compute_regimes
from feature_repo.targets import compute_labels
from lake.clock import SystemClock
from lake.disk import digest_of_sources
from lake.errors import UnknownNameError
from lake.market import DEMO, Market
from lake.quality import CheckPass, note_pass, unchanged_pass
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import BARS, LABELS, REGIMES
from lake.universe import MARKET

CHECK = "look-ahead"
"""Under this name passes are kept."""
SYMBOLS = 3
"""How many symbols are looked at; others on another day."""
BACK = (1, 60)
"""How many sessions before the newest one the future is made another."""
RECENT = timedelta(days=14)
STORED = Closeness(relative=4e-9, floor=1e-3)
"""A stored value may be a table's tolerance away from what is computed now, and that from what is computed at once."""


def stored_subject(table: str, market: Market = DEMO, *, fits: Path | None = None) -> tuple[LeakSubject, TableSpec]:
    """Return what computes a table from bars, and its spec.

    Parameters
    ----------
    market
        Says which calendar holds; the index goes by its name in generated worlds, as in the bars.
    fits
        Folder of models that were fitted for the same computation, see `compute_regimes`.

    Raises
    ------
    UnknownNameError
        If the table is not one of features, labels or regimes.
    """
    here = replace(market, index=MARKET)
    known = {group.table.name: (group_subject(group, here), group.table) for group in GROUPS}
    labels = replace(label_subject(), compute=lambda world: compute_labels(world.bars, market=here))
    known[LABELS.name] = (labels, LABELS)
    regimes = replace(
        regime_subject(), compute=lambda world: compute_regimes(world.bars, market=here, cache_folder=fits)
    )
    known[REGIMES.name] = (regimes, REGIMES)
    if table not in known:
        raise UnknownNameError("table with leak checks", table, known)
    return known[table]


def check_stored(lake: Lake, table: str, now: datetime, *, symbols: int = SYMBOLS) -> LeakCheck:
    """Check a table over a sample of the bars known at an instant, in a few seconds.

    The computation is given other futures, a restatement and a later split at a few of the newest sessions, and what
    the table holds for those sessions is compared with what the bars up to each of them give.

    Parameters
    ----------
    symbols
        Symbols in the sample, drawn anew with every session; `regimes` needs all of them.

    Returns
    -------
    LeakCheck
        With no leak where the lake holds no bars yet.
    """
    started = time.perf_counter()
    subject, spec = stored_subject(table, lake.market, fits=_fits(lake))
    where = None if spec is REGIMES else pl.col("symbol").is_in(_sample(lake, now, symbols))
    bars = named_as_generated(lake.read_as_of(BARS, now, where=where), lake.market.index)
    world = World(bars, pl.DataFrame(schema=RELEASES))
    sessions = world.sessions
    cuts = sorted({sessions[-1 - back] for back in BACK if back < len(sessions)})
    leaks: list[Leak] = []
    if cuts:
        others = [
            *counterfactuals.other_futures(world, cuts, time=subject.time),
            counterfactuals.restated(world, cuts[0]),
            counterfactuals.rescaled(world, cuts[-1], subject.time, subject.levels),
        ]
        answers: dict[int, pl.DataFrame] = {}

        def compute(other: World) -> pl.DataFrame:
            answers[id(other)] = subject.compute(other)
            return answers[id(other)]

        _, leaks = compare(others, world, in_this_process(compute), key=subject.key, time=subject.time)
        known_at = {one.cut: one.parts[0].world for one in others if one.how == CUT_OFF} | {sessions[-1]: world}
        known_then = {at: answers[id(known)] for at, known in known_at.items()}
        leaks += _as_stored(lake, spec, subject, world, known_then, now)
    columns = tuple(column.name for column in spec.columns if column.name not in {*spec.key, "known_time"})
    return LeakCheck("stored", table, columns, bars.height, len(cuts), tuple(leaks), time.perf_counter() - started)


def check_stored_anew(lake: Lake, table: str, now: datetime) -> LeakCheck | str:
    """Check a table as `check_stored` does, unless it passed over the same bytes: then say since when in a sentence."""
    last = passed_before(lake, table, now)
    if last is not None:
        return f"unchanged since {last}"
    looked_at = _pass_of(lake, table, now)  # before the check: what is committed meanwhile was not looked at
    checked = check_stored(lake, table, now)
    if checked.passed and looked_at is not None:
        note_pass(lake, CHECK, stored_subject(table, lake.market)[1], looked_at)
    return checked


def passed_before(lake: Lake, table: str, now: datetime) -> CheckPass | None:
    """Return when `check_stored` passed over the same bars, rows, code and sample; None where it must look again.

    Raises
    ------
    DamagedTableError
        If the bytes of a file of the table, or of the bars, changed since they were written.
    """
    _, spec = stored_subject(table, lake.market)
    if not lake.exists(spec):
        return None
    return unchanged_pass(lake, CHECK, spec, _recipe(lake, now), [BARS])


def note_passed(lake: Lake, table: str, now: datetime) -> None:
    """Store that `check_stored` passed; a table that was never written has nothing to remember."""
    passed = _pass_of(lake, table, now)
    if passed is not None:
        note_pass(lake, CHECK, stored_subject(table, lake.market)[1], passed)


def _pass_of(lake: Lake, table: str, now: datetime) -> CheckPass | None:
    """What a check that begins now would pass over; None where the table was never written."""
    _, spec = stored_subject(table, lake.market)
    if not lake.exists(spec):
        return None
    return CheckPass(_recipe(lake, now), lake.version(spec), now, SystemClock().now())


def _recipe(lake: Lake, now: datetime) -> str:
    """Identity of what is compared with a table: code, market, bars, and the instant that draws the sample."""
    compared = [repr(lake.market), lake.version(BARS), now.isoformat(), SYMBOLS]
    return digest_of_sources((), _code(), repr(compared))


def _fits(lake: Lake) -> Path:
    """Folder of models that these checks fitted with this code; those of the table's own computation lie elsewhere."""
    made_by = digest_of_sources((), _code(), version("hmmlearn"))
    return lake.root / ".stamps" / "check-fits" / made_by


@cache
def _code() -> str:
    """Identity of the code whose computations are compared."""
    return digest_of_sources(Path(__file__).parents[1].rglob("*.py"))


def _sample(lake: Lake, now: datetime, count: int) -> list[str]:
    """Return the index and some symbols that traded of late, others with every session."""
    recent = lake.read_as_of(BARS, now, where=pl.col("event_time") > now - RECENT)
    names = recent.filter(pl.col("symbol") != lake.market.index)["symbol"].unique().sort().to_list()
    random = np.random.default_rng(int(now.timestamp()))
    return [lake.market.index, *random.permutation(names)[:count].tolist()]


def _as_stored(
    lake: Lake,
    spec: TableSpec,
    subject: LeakSubject,
    world: World,
    known_then: Mapping[datetime, pl.DataFrame],
    now: datetime,
) -> list[Leak]:
    """Compare the rows stored for some instants with what the bars up to each of them give, by instant."""
    if not lake.exists(spec):
        return []
    is_one = pl.col(subject.time).is_in(pl.Series([*known_then], dtype=spec.schema[subject.time]).implode())
    where = (
        is_one
        if "symbol" not in spec.names
        else is_one & pl.col("symbol").is_in(world.bars["symbol"].unique().to_list())
    )
    stored = lake.read_as_of(spec, now, where=where)
    if "market" in spec.names:
        stored = stored.with_columns(pl.col("market").replace({lake.market.index: MARKET}))
    recomputed = pl.concat([computed.filter(pl.col(subject.time) == at) for at, computed in known_then.items()]).select(
        spec.names
    )
    recomputed = recomputed.join(stored.select(subject.key), on=list(subject.key), how="semi")
    columns = [name for name in spec.names if name not in {*spec.key, "known_time"}]
    return differences(
        stored,
        recomputed,
        "stored",
        max(known_then),
        subject.key,
        time=subject.time,
        closeness=STORED,
        columns=columns,
    )
