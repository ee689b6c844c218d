"""Passes: what a check of a table found good last, in a small file beside the tables, so that it looks at what is new.

Passes only save work. Where the file is lost or torn, the rules changed, or the table's history no longer tells what is
new, the whole table is checked again.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from lake.disk import write_durably
from lake.spec import TableSpec
from lake.store import Lake, Watermark, named_digest, new_rows


@dataclass(frozen=True)
class CheckPass:
    """A check that a table passed.

    Parameters
    ----------
    recipe
        Identity of the rules; under others nothing has passed yet.
    version, now
        Version of the table that was checked, and the market's now, as of which.
    passed_at
        When that was, by the wall clock.
    """

    recipe: str
    version: int
    now: datetime
    passed_at: datetime

    def __str__(self) -> str:
        return f"version {self.version}, last passed {self.passed_at:%Y-%m-%d %H:%M} UTC"


def last_pass(lake: Lake, check: str, spec: TableSpec, recipe: str) -> CheckPass | None:
    """Return what a check passed last by these rules; None where nothing tells so."""
    try:
        content = json.loads(_path(lake, check, spec).read_text(encoding="utf-8"))
        now, passed_at = (datetime.fromisoformat(content[name]) for name in ("now", "passed_at"))
        found = CheckPass(content["recipe"], int(content["version"]), now, passed_at)
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return found if found.recipe == recipe else None


def note_pass(lake: Lake, check: str, spec: TableSpec, passed: CheckPass) -> None:
    """Store what a check passed; a reader finds the old or the new one."""
    content = {
        "recipe": passed.recipe,
        "version": passed.version,
        "now": passed.now.isoformat(),
        "passed_at": passed.passed_at.isoformat(),
    }
    write_durably(_path(lake, check, spec), json.dumps(content))


def forget_passes(lake: Lake) -> None:
    """Let every check look at whole tables again, once, and compute anew what it kept in a folder of its own."""
    for path in (lake.root / ".stamps").glob("check-*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def unchanged_pass(
    lake: Lake, check: str, spec: TableSpec, recipe: str, inputs: Sequence[TableSpec]
) -> CheckPass | None:
    """Return the pass of a check that would look at the same bytes again; None where anything may differ.

    For a check of a whole table, or of a sample, that compares it with others. All files are compared with the digests
    in their names.

    Parameters
    ----------
    recipe
        Identity of the rules, of the market's now where they depend on it, and of the versions of `inputs`.
    inputs
        The other tables that are read.

    Raises
    ------
    DamagedTableError
        If the bytes of a file changed since they were written.
    """
    last = last_pass(lake, check, spec, recipe)
    if last is None or lake.version(spec) != last.version:
        return None
    return last if all(_is_verifiable(lake.files(each)) for each in (spec, *inputs)) else None


def unchecked_rows(lake: Lake, spec: TableSpec, last: CheckPass, now: datetime, version: int) -> pl.DataFrame | None:
    """Return the rows that a check has not seen, each with those that share its key: all that can break a rule anew.

    Files whose rows are not read are compared with the digest in their names, so that none is passed over that was
    damaged since.

    Parameters
    ----------
    last
        What the check passed.
    now, version
        The market's now, and the version of the table that is checked.

    Returns
    -------
    pl.DataFrame | None
        Rows in the table's columns, of several versions of a key the newest known; empty where nothing changed. None
        where the whole table must be read: its history no longer tells, time went back, a file is gone, or one carries
        no digest.

    Raises
    ------
    DamagedTableError
        If the bytes of a file changed since they were written.
    """
    fresh = new_rows(lake, spec, Watermark(last.version, last.now), now, until=version)
    if fresh is None or not _is_verifiable(lake.files(spec, version)):
        return None
    if fresh.is_empty():
        return spec.empty()
    is_near = pl.lit(value=True)
    if "event_time" in spec.key:
        is_near = pl.col("event_time").is_between(fresh["event_time"].min(), fresh["event_time"].max())
    known = lake.read(spec, where=is_near & (pl.col("known_time") <= now), version=version)
    rows = known.join(fresh.select(spec.key), on=list(spec.key), how="semi", nulls_equal=True)
    return newest_versions(spec, rows)


def newest_versions(spec: TableSpec, known: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that count among all that are known: of several versions of a key the newest, however often."""
    if not spec.restates:
        return known
    return known.filter(pl.col("known_time") == pl.col("known_time").max().over(list(spec.key)))


def _is_verifiable(paths: list[str]) -> bool:
    return all(named_digest(path) is not None and Path(path).exists() for path in paths)


def _path(lake: Lake, check: str, spec: TableSpec) -> Path:
    return lake.root / ".stamps" / f"check-{check}-{spec.name}.json"
