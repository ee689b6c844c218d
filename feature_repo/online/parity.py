"""Parity of online store and lake: every value of every view compared bit for bit."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from redis import Redis
from redis.exceptions import RedisError, WatchError

from feature_repo.coverage import readable
from feature_repo.online.generations import Generation, generation_key, index_key, read_generation, read_index, row_key
from feature_repo.online.packing import EVENT, HEADER_FIELDS, KNOWN, NUMBERS, instant
from feature_repo.online.redis_server import connect, redis_url
from feature_repo.online.rows import newest_rows
from feature_repo.online.seals import OnlineKey
from feature_repo.online.views import VIEWS, OnlineView
from lake.errors import NotReadyError, OnlineStoreError
from lake.report import Report
from lake.settings import Settings
from lake.store import Lake

READ_SECONDS = 10.0
ATTEMPTS = 3
WITHDRAWALS = 20
AT_ONCE = 1_000
"""Rows asked of Redis at a time."""
SHOWN = 5
"""Examples kept of each feature that differs."""
FLOATS = {"f8": "<d", "f4": "<f"}

Columns = dict[str, list[Any]]
"""Values of each feature, aligned with a list of entities."""


@dataclass(frozen=True)
class ParityDifference:
    """What one feature of one view gets wrong.

    Parameters
    ----------
    view, feature
        Where; `feature` may also be ``event_time`` or ``known_time``.
    mismatch
        Entities whose online value is another one than the lake's.
    missing
        Entities with a value in the lake and none online.
    extra
        Entities with a value online and none in the lake.
    examples
        Some of them, as ``symbol: online value instead of the lake's``.
    """

    view: str
    feature: str
    mismatch: int
    missing: int
    extra: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class ParityReport:
    """What was compared, and every feature that differs anywhere.

    Parameters
    ----------
    until
        Market time up to which the online store was filled, as of which the two are compared.
    versions
        Delta versions it was filled from, by table.
    rows, values
        How many rows of entities and how many of their values were compared, by view.
    differences
        Empty when the two agree in every bit.
    """

    until: datetime
    versions: dict[str, int]
    rows: dict[str, int]
    values: dict[str, int]
    differences: tuple[ParityDifference, ...]

    @property
    def is_equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def totals(self) -> dict[str, int]:
        """Mismatching, missing and extra values, over all views and features."""
        return {
            kind: sum(getattr(difference, kind) for difference in self.differences)
            for kind in ("mismatch", "missing", "extra")
        }

    def to_report(self) -> Report:
        """The same as any step of the platform says it."""
        details: dict[str, Any] = dict(self.totals)
        report = Report("feature_parity", rows=sum(self.rows.values()), last=self.until)
        differences = [
            asdict(difference) | {"examples": "; ".join(difference.examples)} for difference in self.differences
        ]
        return report.with_details(values=self.values, table_versions=self.versions, differences=differences, **details)


def compare_stores(lake: Lake, settings: Settings, views: Sequence[OnlineView] = VIEWS) -> ParityReport:
    """Compare what Redis holds with what the lake held when it was filled.

    The lake is read at the versions and as of the market time that the last materialisation wrote beside its rows, so
    a table that went on since makes no difference.

    Raises
    ------
    NotReadyError
        If nothing was materialised yet, or materialisations kept coming while the stores were compared.
    OnlineStoreError
        If Redis does not answer.
    DamagedTableError
        If a file of a table cannot be read.

    Examples
    --------
    `settings` name a home whose online store runs; `lake` holds its tables and `now` is the market's time.

    >>> from feature_repo.retrieval import materialize
    >>> _ = materialize(lake, settings, until=now)
    >>> report = compare_stores(lake, settings)
    >>> report.is_equal, report.totals
    (True, {'mismatch': 0, 'missing': 0, 'extra': 0})
    """
    key = OnlineKey.of(settings)
    try:
        with connect(redis_url(settings), READ_SECONDS) as server:
            for _ in range(ATTEMPTS):
                filled = _filled(server, key)
                report = _compare(lake, server, key, filled, views)
                if _filled(server, key).number == filled.number:
                    return report
    except RedisError as error:
        raise OnlineStoreError(
            f"The online store cannot be compared with the lake: Redis does not answer ({error}). Start it with "
            "`make serve`, or set REDIS_URL to a server that runs."
        ) from error
    raise NotReadyError("The online store was filled again each time it was compared. Try again once it stands still.")


def withdraw(settings: Settings, views: Sequence[OnlineView] = VIEWS) -> None:
    """Take everything out of Redis that was materialised, so that none of it is served.

    Readers go on from the snapshot of the lake, and say so; those without one refuse. The next materialisation fills
    the server from the beginning. Nobody sees a part of it gone.

    Raises
    ------
    OnlineStoreError
        If writers leave no gap; nothing is withdrawn then.
    """
    key = OnlineKey.of(settings)
    with connect(redis_url(settings), READ_SECONDS) as server:
        for _ in range(WITHDRAWALS):
            try:
                _withdraw(server, key, views)
            except WatchError:
                continue
            return
    raise OnlineStoreError(
        f"{WITHDRAWALS} attempts to withdraw what was materialised were each overtaken by a writer. It still stands; "
        "let no process materialise meanwhile."
    )


def _withdraw(server: Redis, key: OnlineKey, views: Sequence[OnlineView]) -> None:
    """Delete rows, indexes and the generation in one transaction, void if another commit came between."""
    with server.pipeline(transaction=True) as opened:
        pipe: Any = opened  # redis-py leaves `watch` and `multi` without types
        pipe.watch(generation_key())
        keys = [generation_key()]
        for view in views:
            keys += [index_key(view.name), *(row_key(view.name, name) for name in _names(server, key, view))]
        pipe.multi()
        for first in range(0, len(keys), AT_ONCE):
            pipe.delete(*keys[first : first + AT_ONCE])
        pipe.execute()


def _filled(server: Redis, key: OnlineKey) -> Generation:
    filled = read_generation(server, key)
    if filled is None or filled.until is None or filled.versions is None:
        raise NotReadyError(
            "The online store does not say what it was filled from, so there is nothing to compare with. Materialise "
            "it first: materialise the asset 'online_store'."
        )
    return filled


def _compare(
    lake: Lake, server: Redis, key: OnlineKey, filled: Generation, views: Sequence[OnlineView]
) -> ParityReport:
    assert filled.until is not None, "told by _filled"
    assert filled.versions is not None, "told by _filled"
    rows, values = {}, {}
    differences: list[ParityDifference] = []
    for view in views:
        with readable(view.table):
            offline = newest_rows(lake, view, filled.until, filled.versions.get(view.table.name))
        names = sorted({*offline[view.entity], *_names(server, key, view)})
        online = _online_values(server, key, view, names)
        rows[view.name], values[view.name] = len(names), len(names) * len(online)
        differences += _differences(view, names, _offline_values(view, offline, names), online)
    return ParityReport(filled.until, filled.versions, rows, values, tuple(differences))


def _names(server: Redis, key: OnlineKey, view: OnlineView) -> set[str]:
    """Entities of a view in Redis: those of its index, and any key of a row that the index does not know."""
    prefix = row_key(view.name, "").encode()
    keys = server.scan_iter(match=prefix + b"*", count=AT_ONCE)
    return {
        *read_index(server, key, view.name).names,
        *(entity_key.removeprefix(prefix).decode() for entity_key in keys),
    }


def _online_values(server: Redis, key: OnlineKey, view: OnlineView, names: Sequence[str]) -> Columns:
    """Every feature and both times of each entity as Redis has them; None for no row, or one that does not verify."""
    raw: list[bytes | None] = []
    for first in range(0, len(names), AT_ONCE):
        some: Any = server.mget([row_key(view.name, name) for name in names[first : first + AT_ONCE]])
        raw += some
    stored = [row_key(view.name, name) for name in names]
    held = [
        value if view.layout.accepts(value) and key.accepts(name, value) else None
        for name, value in zip(stored, raw, strict=True)
    ]
    headers = [None if value is None else np.frombuffer(value, HEADER_FIELDS, 1)[0] for value in held]
    found: Columns = {
        EVENT: [None if header is None else int(header["event"]) for header in headers],
        KNOWN: [None if header is None else int(header["known"]) for header in headers],
    }
    for name, kind in view.layout.columns:
        get = view.layout.getter(name)
        found[name] = _bits([None if value is None else get(value) for value in held], kind)
    return found


def _offline_values(view: OnlineView, rows: pl.DataFrame, names: Sequence[str]) -> Columns:
    """The same of the lake."""
    aligned = pl.DataFrame({view.entity: names}, schema={view.entity: pl.String}).join(
        rows, on=view.entity, how="left", maintain_order="left"
    )
    kinds = {EVENT: "us", KNOWN: "us"} | dict(view.layout.columns)
    return {name: _bits(list(_plain(aligned[name])), kind) for name, kind in kinds.items()}


def _plain(values: pl.Series) -> Iterable[Any]:
    """Python values; an instant as microseconds, a list of numbers as an array."""
    return values.to_physical() if values.dtype.is_temporal() else values


def _bits(values: list[Any], kind: str) -> list[Any]:
    """Values in a form that is equal only where every bit is; null stays None."""
    if kind in NUMBERS:
        return [None if value is None else np.asarray(value, NUMBERS[kind]).tobytes() for value in values]
    if kind in FLOATS:
        code = FLOATS[kind]
        return [None if value is None else struct.pack(code, value) for value in values]
    return [list(value) if isinstance(value, (list, pl.Series)) else value for value in values]


def _differences(
    view: OnlineView, names: Sequence[str], offline: Columns, online: Columns
) -> Iterable[ParityDifference]:
    kinds = {EVENT: "us", KNOWN: "us"} | dict(view.layout.columns)
    for feature, kind in kinds.items():
        pairs = list(zip(names, offline[feature], online[feature], strict=True))
        wrong = [(name, lake_value, held) for name, lake_value, held in pairs if lake_value != held]
        if wrong:
            missing = sum(held is None for _, _, held in wrong)
            extra = sum(lake_value is None for _, lake_value, _ in wrong)
            yield ParityDifference(
                view.name,
                feature,
                mismatch=len(wrong) - missing - extra,
                missing=missing,
                extra=extra,
                examples=tuple(f"{n}: {_shown(h, kind)} instead of {_shown(s, kind)}" for n, s, h in wrong[:SHOWN]),
            )


def _shown(value: Any, kind: str) -> str:
    if value is None:
        return "nothing"
    if kind in FLOATS:
        return repr(struct.unpack(FLOATS[kind], value)[0])
    if kind in NUMBERS:
        return f"{len(np.frombuffer(value, NUMBERS[kind]))} numbers"
    return str(instant(value)) if kind == "us" else repr(value)
