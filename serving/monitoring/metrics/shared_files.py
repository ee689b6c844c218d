"""Files that processes share their numbers in."""

import os

from prometheus_client.mmap_dict import MmapedDict

RESERVED_BYTES = 1_048_576
"""Room for some thousand series, in each of the five files of a worker."""


class Reserved(MmapedDict):
    """A file that workers share numbers in, with its room taken from the volume when it is made.

    ``prometheus_client`` maps a file with holes: where the volume is full, the first number in a hole is a SIGBUS,
    which ends the worker. Without the room the worker does not start, and says so.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if not read_mode:
            with open(filename, "ab") as file:  # noqa: PTH123 - a text, as its base has it
                os.posix_fallocate(file.fileno(), 0, RESERVED_BYTES)
        super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
