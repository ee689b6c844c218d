"""Small files on local disk: durable writes, locks among processes, files that only their owner may read.

- `write_durably`, `flush`: replace a small file so that a crash leaves the old or the new one
- `file_lock`, `job_lock`: one writer of a file, one job of a home at a time
- `close_new_files`, `close_home`: keep other users of the machine out of a home
"""

from lake.disk.durable import flush, write_durably
from lake.disk.locks import file_lock, job_lock
from lake.disk.private import close_home, close_new_files

__all__ = [
    "close_home",
    "close_new_files",
    "file_lock",
    "flush",
    "job_lock",
    "write_durably",
]
