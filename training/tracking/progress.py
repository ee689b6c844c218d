"""What progress is reported to: `print`, a logger, or nothing."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Takes one sentence about what was just done."""


def no_progress(_: str) -> None:
    """Report nothing."""
