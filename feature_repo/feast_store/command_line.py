"""How an error of ours reads under the `feast` command: one sentence and exit code 1, as under `quantlake`."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from lake.errors import QuantlakeError, kind_of


@contextmanager
def told_in_a_sentence() -> Iterator[None]:
    """Let an error of this project that ends a command of Feast be printed without a traceback.

    Feast's command line is click's, which prints a `click.ClickException` as its message and exits with 1. A program
    that calls Feast gets the error itself.

    Raises
    ------
    click.ClickException
        Under a command, in the place of a `QuantlakeError` of the block.
    """
    try:
        yield
    except QuantlakeError as error:
        if click.get_current_context(silent=True) is None:
            raise
        raise click.ClickException(f"{kind_of(error)}: {error}") from error
