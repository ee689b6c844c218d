"""What a function leaves on disk, taken away again: the next process must not read what this one knew."""

import contextlib
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import polars as pl

from feature_repo.compute.kernel import compiled_to


class Traces:
    """Paths made while it is entered, as Python's audit events tell them; see `remove`.

    A file that was there before is never among them. Polars writes without an event, so its methods are given one.
    What other libraries write by code of their own is not seen. An audit hook stays until its process ends: use it in
    a process that ends soon.

    Parameters
    ----------
    but
        Folder whose files are left alone, as are those of compiled kernels.
    """

    def __init__(self, but: Path) -> None:
        self.made: list[Path] = []
        self._but, self._kernels = but, compiled_to().parent
        self._is_watching = False

    def __enter__(self) -> Self:
        self._is_watching = True
        sys.addaudithook(self._heard)
        for frame in (pl.DataFrame, pl.LazyFrame):
            for name in [name for name in vars(frame) if name.startswith(("write_", "sink_"))]:
                setattr(frame, name, _told(getattr(frame, name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_watching = False

    def remove(self) -> None:
        """Remove the files made, and the folders made that are empty then."""
        for path in reversed(self.made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_watching:
            return
        is_written = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if is_written or event in {"os.mkdir", "sqlite3.connect"}:
            self._add(arguments[0])
        elif event == "os.rename":
            self._add(arguments[1])

    def _add(self, path: object) -> None:
        if isinstance(path, str | bytes | os.PathLike):
            full = Path.cwd() / os.fsdecode(path)
            if not full.is_relative_to(self._kernels) and not full.is_relative_to(self._but) and not full.exists():
                self.made.append(full)


def _told(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that writes to its first argument with the event that Python's own `open` has."""

    @wraps(method)
    def write(frame: object, target: object = None, *arguments: Any, **options: Any) -> Any:
        if isinstance(target, str | Path):
            sys.audit("open", target, "w", os.O_CREAT)
        return method(frame, *(() if target is None else (target,)), *arguments, **options)

    return write
