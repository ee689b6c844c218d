"""Watermarks: how far a step has read its inputs, in a small file beside the tables; and the rows since then.

Watermarks only save work. Where the file is lost, torn or outdated, the next run computes everything again, and merging
what is already stored adds nothing.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from lake.disk import write_durably
from lake.spec import TableSpec
from lake.store.delta import Lake
from lake.store.years import known_in

ALWAYS = "all"
"""Stands for every year that has no entry of its own."""


@dataclass(frozen=True)
class Watermark:
    """How far a step has read a table: up to a version, and what was known at an instant."""

    version: int
    now: datetime


@dataclass(frozen=True)
class Watermarks:
    """How far a step has read each of its inputs, and the tables it left behind.

    Parameters
    ----------
    recipe
        Identity of the computation; another recipe gives other results.
    seen
        By year the run was asked for (or `ALWAYS`), how far each input was read.
    outputs
        Versions of the tables it left behind. Another version means that someone else wrote to one.
    """

    recipe: str
    seen: Mapping[str, Mapping[str, Watermark]]
    outputs: Mapping[str, int]

    def since(self, years: Collection[int]) -> dict[str, Watermark] | None:
        """Return how far each input was read in all of these years, or None where one was never run."""
        entries = [self._entry(year) for year in years] or self._all()
        if any(entry is None for entry in entries):
            return None
        known = [entry for entry in entries if entry is not None]
        return {
            name: Watermark(min(entry[name].version for entry in known), min(entry[name].now for entry in known))
            for name in known[0]
        }

    def after(self, years: Collection[int], read: Mapping[str, Watermark], outputs: Mapping[str, int]) -> "Watermarks":
        """Return the watermarks that a run over these years leaves."""
        fresh = {str(year): read for year in years} or {ALWAYS: read}
        return Watermarks(self.recipe, {**self.seen, **fresh} if years else fresh, outputs)

    def _entry(self, year: int) -> Mapping[str, Watermark] | None:
        """Return how far the inputs were read in a year; before the year began there was nothing to read."""
        before = [entry for entry in self.seen.values() if all(mark.now.year < year for mark in entry.values())]
        latest = max(before, key=lambda entry: max(mark.now for mark in entry.values()), default=None)
        return self.seen.get(str(year), self.seen.get(ALWAYS, latest))

    def _all(self) -> list[Mapping[str, Watermark] | None]:
        return [self.seen.get(ALWAYS), *self.seen.values()]


def read_watermarks(lake: Lake, step: str, recipe: str, outputs: Sequence[TableSpec]) -> Watermarks:
    """Return the watermarks of a step, or empty ones where they cannot be trusted.

    They are trusted when they have the same recipe and nobody else has added to, or repaired, an output since then.
    """
    nothing = Watermarks(recipe, {}, {})
    try:
        content = json.loads(_path(lake, step).read_text(encoding="utf-8"))
        watermarks = Watermarks(content["recipe"], _seen_from(content["seen"]), content["outputs"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return nothing
    made = watermarks.outputs
    if watermarks.recipe != recipe or not all(_is_untouched(lake, spec, made.get(spec.name)) for spec in outputs):
        return nothing
    return watermarks


def write_watermarks(lake: Lake, step: str, watermarks: Watermarks) -> None:
    """Store the watermarks of a step; a reader finds the old or the new ones."""
    seen = {
        year: {name: {"version": mark.version, "now": mark.now.isoformat()} for name, mark in entry.items()}
        for year, entry in watermarks.seen.items()
    }
    content = {"recipe": watermarks.recipe, "seen": seen, "outputs": dict(watermarks.outputs)}
    write_durably(_path(lake, step), json.dumps(content))


def new_rows(
    lake: Lake,
    spec: TableSpec,
    since: Watermark,
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
    is_wanted = (pl.col("known_time") <= now) & known_in(years)
    rows = stored.filter(is_wanted)
    if now == since.now:
        return rows
    due = lake.read(spec, where=(pl.col("known_time") > since.now) & is_wanted, version=until)
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


def _seen_from(content: Mapping[str, Any]) -> dict[str, dict[str, Watermark]]:
    return {
        year: {name: Watermark(mark["version"], datetime.fromisoformat(mark["now"])) for name, mark in entry.items()}
        for year, entry in content.items()
    }
