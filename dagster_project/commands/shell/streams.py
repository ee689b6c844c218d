"""Which stream a verb prints on: its result on standard output, and for a program everything else on standard error."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

STDOUT, STDERR = 1, 2


@contextmanager
def progress_on_stderr(*, when: bool) -> Iterator[None]:
    """Send what this process and its children print on standard output to standard error while the block lasts.

    Libraries and child processes write to the file descriptor, so that is redirected too: what a verb prints after the
    block is all that a program reads.

    Parameters
    ----------
    when
        Whether a program reads the result; for a person the progress stays where the result comes.
    """
    if not when:
        yield
        return
    stdout = sys.stdout
    stdout.flush()
    kept = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        stdout.flush()  # what was written by its name meanwhile is progress too
        os.dup2(kept, STDOUT)
        os.close(kept)
