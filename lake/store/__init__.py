"""Delta tables and their only writer.

- `Lake`: the tables under one folder; reads, appends, merges and compacts them (`LakeReader`: the reading half)
- `StoredTable`, `TableSnapshot`: a table as its own metadata describes it, and the files of one version
- `newest_known`, `newest_event`, `new_or_restated`: which of several rows counts, and which rows of a batch are new
- `Watermark`, `Watermarks`, `read_watermarks`, `write_watermarks`, `new_rows`: how far a step has read its inputs
- `read_look_back`, `ROW_KEY`, `known_in`, `YEAR`: the rows that an update reads
- `WITHDRAWN`, `UNVERIFIED`, `withdrawn`, `unverified`: forecasts that a person withdrew or released
- `altered_files`, `require_intact`, `named_digest`, `digest_of_file`, `forget_verified_files`: digests of data files
- `data_files`, `scan_files`, modules `delta_log`, `commits`, `snapshots`: the files, for `lake.care` and `lake.sql`

Examples
--------
>>> import tempfile
>>> from pathlib import Path
>>> from lake.sources import tiny_market
>>> from lake.store import Lake
>>> from lake.tables import BARS
>>> lake = Lake(Path(tempfile.mkdtemp()))
>>> lake.merge(BARS, tiny_market(["AAA", "BBB"], sessions=5, seed=1)).added
10
>>> lake.read(BARS).height
10
"""

from lake.store import commits, delta_log, snapshots
from lake.store.delta import Lake
from lake.store.digests import (
    altered_files,
    digest_of_file,
    forget_verified_files,
    named_digest,
    require_intact,
)
from lake.store.files import YEAR, data_files, scan_files
from lake.store.look_back import ROW_KEY, read_look_back
from lake.store.merge import new_or_restated, newest_event, newest_known
from lake.store.reading import LakeReader
from lake.store.snapshots import StoredTable, TableSnapshot
from lake.store.watermarks import Watermark, Watermarks, new_rows, read_watermarks, write_watermarks
from lake.store.withdrawals import UNVERIFIED, WITHDRAWN, unverified, withdrawn
from lake.store.years import known_in

__all__ = [
    "ROW_KEY",
    "UNVERIFIED",
    "WITHDRAWN",
    "YEAR",
    "Lake",
    "LakeReader",
    "StoredTable",
    "TableSnapshot",
    "Watermark",
    "Watermarks",
    "altered_files",
    "commits",
    "data_files",
    "delta_log",
    "digest_of_file",
    "forget_verified_files",
    "known_in",
    "named_digest",
    "new_or_restated",
    "new_rows",
    "newest_event",
    "newest_known",
    "read_look_back",
    "read_watermarks",
    "require_intact",
    "scan_files",
    "snapshots",
    "unverified",
    "withdrawn",
    "write_watermarks",
]
