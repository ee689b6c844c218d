"""Small files on local disk: durable writes, locks among processes, files that only their owner may read.

- `write_durably`, `flush`: replace a small file so that a crash leaves the old or the new one
- `file_lock`, `job_lock`: one writer of a file, one job of a home at a time
- `write_private`, `create_key_file`, `read_key_file`: files that only their owner may read, and secrets in them
- `close_new_files`, `close_home`, `is_own_folder`, `is_open_to_others`: keep other users of the machine out of a home
- `FileIdentity`, `identity_of`, `file_at`: which file lies at a path, and whether it was changed
- `digest_of_sources`: which code some files hold
- `is_sqlite`, `check_pages`: whether a file is a whole SQLite database
"""

from lake.disk.durable import flush, write_durably
from lake.disk.identity import FileIdentity, digest_of_sources, file_at, identity_of
from lake.disk.key_files import create_key_file, read_key_file
from lake.disk.locks import file_lock, job_lock
from lake.disk.private import (
    OTHERS,
    OWNER_ONLY,
    close_home,
    close_new_files,
    is_open_to_others,
    is_own_folder,
    write_private,
)
from lake.disk.sqlite_files import SQLITE_HEADER, check_pages, is_sqlite

__all__ = [
    "OTHERS",
    "OWNER_ONLY",
    "SQLITE_HEADER",
    "FileIdentity",
    "check_pages",
    "close_home",
    "close_new_files",
    "create_key_file",
    "digest_of_sources",
    "file_at",
    "file_lock",
    "flush",
    "identity_of",
    "is_open_to_others",
    "is_own_folder",
    "is_sqlite",
    "job_lock",
    "read_key_file",
    "write_durably",
    "write_private",
]
