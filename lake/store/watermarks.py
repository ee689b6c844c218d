"""How far a step has read what it is made from: a small file beside the tables, and the rows that are new since then.

A stamp only saves work. Lost, torn or outdated, it makes the next run compute everything again, and merging what is
already stored adds nothing.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from lake.disk.durable import write_durably
from lake.spec import TableSpec
from lake.store import Lake
from lake.store.years import known_in

ALWAYS = "all"
"""Stands for every year that has no entry of its own."""


@dataclass(frozen=True)
class Seen:
    """A table as a step last read it: up to a version, and what was known at an instant."""

    version: int
    now: datetime


@dataclass(frozen=True)
class Stamp:
    """What a step last did.

    Parameters
    ----------
    recipe
        Identity of the computation; another recipe, other results.
    seen
        By year the run was asked for (or `ALWAYS`), how far each input was read.
    outputs
        Versions of the tables it left behind. Another version means that someone else wrote, so nothing is sure.
    """

    recipe: str
    seen: Mapping[str, Mapping[str, Seen]]
    outputs: Mapping[str, int]

    def since(self, years: Collection[int]) -> dict[str, Seen] | None:
        """Return how far each input was read in all of these years, or None where one was never run."""
        entries = [self._entry(year) for year in years] or self._all()
        if any(entry is None for entry in entries):
            return None
        known = [entry for entry in entries if entry is not None]
        return {
            name: Seen(min(entry[name].version for entry in known), min(entry[name].now for entry in known))
            for name in known[0]
        }

    def after(self, years: Collection[int], read: Mapping[str, Seen], outputs: Mapping[str, int]) -> "Stamp":
        """Return the stamp that a run over these years leaves."""
        fresh = {str(year): read for year in years} or {ALWAYS: read}
        return Stamp(self.recipe, {**self.seen, **fresh} if years else fresh, outputs)

    def _entry(self, year: int) -> Mapping[str, Seen] | None:
        """How far the inputs were read in a year; before the year began there was nothing to see."""
        before = [entry for entry in self.seen.values() if all(one.now.year < year for one in entry.values())]
        latest = max(before, key=lambda entry: max(one.now for one in entry.values()), default=None)
        return self.seen.get(str(year), self.seen.get(ALWAYS, latest))

    def _all(self) -> list[Mapping[str, Seen] | None]:
        return [self.seen.get(ALWAYS), *self.seen.values()]


def read_stamp(lake: Lake, step: str, recipe: str, outputs: Sequence[TableSpec]) -> Stamp:
    """Return the stamp of a step, or an empty one where none can be trusted.

    A stamp is trusted when it has the same recipe and nobody else has added to, or repaired, an output since then.
    """
    nothing = Stamp(recipe, {}, {})
    try:
        content = json.loads(_path(lake, step).read_text(encoding="utf-8"))
        stamp = Stamp(content["recipe"], _seen_from(content["seen"]), content["outputs"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return nothing
    if stamp.recipe != recipe or not all(_is_untouched(lake, spec, stamp.outputs.get(spec.name)) for spec in outputs):
        return nothing
    return stamp


def write_stamp(lake: Lake, step: str, stamp: Stamp) -> None:
    """Keep a stamp; a reader finds the old or the new one."""
    seen = {
        year: {name: {"version": one.version, "now": one.now.isoformat()} for name, one in entry.items()}
        for year, entry in stamp.seen.items()
    }
    content = {"recipe": stamp.recipe, "seen": seen, "outputs": dict(stamp.outputs)}
    write_durably(_path(lake, step), json.dumps(content))


def new_rows(
    lake: Lake,
    spec: TableSpec,
    since: Seen,
    now: datetime,
    years: Collection[int] = (),
    *,
    until: int | None = None,
) -> pl.DataFrame | None:
    """Return the rows known by `now` that a reader who stopped at `since` has not seen.

    They were stored since then, or were stored before but became known only since then.

    Parameters
    ----------
    years
        Rows that became known in these years only; none named means all.
    until
        Last version to look at, by default the newest.

    Returns
    -------
    pl.DataFrame | None
        Rows in the table's columns, every restatement beside what it replaces; None where the table's history no
        longer tells, or time has gone back.
    """
    if now < since.now or lake.version(spec) < since.version:
        return None
    stored = lake.changes(spec, since.version, until)
    if stored is None:
        return None
    asked = (pl.col("known_time") <= now) & known_in(years)
    rows = stored.filter(asked)
    if now == since.now:
        return rows
    due = lake.read(spec, where=(pl.col("known_time") > since.now) & asked, version=until)
    return pl.concat([rows, due]).unique(maintain_order=True)


def _is_untouched(lake: Lake, spec: TableSpec, version: int | None) -> bool:
    """Whether a table holds what it held at a version; a compaction changes nothing in it."""
    if version is None or not lake.exists(spec):
        return False
    if lake.version(spec) == version:
        return True
    added = lake.changes(spec, version)
    return added is not None and added.is_empty()


def _path(lake: Lake, step: str) -> Path:
    return lake.root / ".stamps" / f"{step}.json"


def _seen_from(content: Mapping[str, Any]) -> dict[str, dict[str, Seen]]:
    return {
        year: {name: Seen(one["version"], datetime.fromisoformat(one["now"])) for name, one in entry.items()}
        for year, entry in content.items()
    }
