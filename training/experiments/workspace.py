"""Where the products of one training lie, and the fingerprint that says whether they are already there."""

import ast
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.targets import windows
from lake.disk import write_durably
from lake.errors import NotReadyError
from lake.market import DEMO
from lake.settings import Settings
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import LABELS
from training.experiments.config import Experiment
from training.models import MODELS

SOURCES = ("data", "fit", "judge", "models")
"""Folders of this room whose code decides what comes out of a training."""

WITHOUT = ("leak_subjects.py", "plots.py", "recorded.py")
"""Their modules that decide nothing: checks, pictures, and what is written into the trial ledger."""

LIBRARIES = ("numpy", "optuna", "pytorch-lightning", "torch")
"""Libraries whose numbers may change with their version, besides those that cards name."""


@dataclass(frozen=True)
class Workspace:
    """The folder of one training, named by everything that decides its outcome.

    Parameters
    ----------
    lake, settings, experiment
        What is learnt from, where things lie, and how it is learnt.
    """

    lake: Lake
    settings: Settings
    experiment: Experiment

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the rows known at the end of knowledge, the experiment, the code and its libraries, in hex.

        Rows known later are no part of it, so a new session of the market trains nothing anew; neither are table
        versions, which grow with every session.
        """
        parts = [self.experiment.fingerprint(), code_fingerprint()]
        parts += [content_fingerprint(self.known(spec)) for spec in (FEATURES_TECHNICAL, LABELS)]
        if self.lake.market.horizons != DEMO.horizons:  # as before there were others, so that no training is done again
            parts.append("; ".join(self.lake.market.horizons))
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    @property
    def label(self) -> str:
        """Name of the experiment with the head of the fingerprint: how tables and runs refer to this training."""
        return f"{self.experiment.name}@{self.fingerprint[:12]}"

    @property
    def folder(self) -> Path:
        """Folder of this training."""
        return self.settings.home / "training" / self.fingerprint[:16]

    def known(self, spec: TableSpec) -> pl.DataFrame:
        """Return every row of a table known at the end of knowledge, restated ones included, in a fixed order."""
        rows = self.lake.read(spec, where=pl.col("known_time") <= self.experiment.knowledge_end)
        return rows.sort(*spec.key, "known_time")

    def has(self, stage: str) -> bool:
        """Whether a stage was done."""
        return self._record(stage).is_file()

    def read(self, stage: str) -> dict[str, Any]:
        """Return what a stage wrote down about itself.

        Raises
        ------
        NotReadyError
            If it was not done yet.
        """
        if not self.has(stage):
            raise NotReadyError(
                f"Stage '{stage}' of {self.label} was not done yet: there is no {self._record(stage)}. "
                f"Materialise the asset '{stage}' in the Dagster UI, or run `{self.lake.market.first_run}`."
            )
        content: dict[str, Any] = json.loads(self._record(stage).read_text(encoding="utf-8"))
        return content

    def once(self, stage: str, make: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any], bool]:
        """Do a stage unless it was done, and return what it wrote down and whether it had been done before.

        The record is written last, so a stage that was cut off is done again.
        """
        if self.has(stage):
            return self.read(stage), True
        self.folder.mkdir(parents=True, exist_ok=True)
        write_durably(self._record(stage), json.dumps(make(), indent=1))
        return self.read(stage), False

    def _record(self, stage: str) -> Path:
        return self.folder / f"{stage}.json"


def content_fingerprint(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame's columns, names, types and values, in hex; it depends on the order of rows and columns."""
    digest = hashlib.sha256()
    for column in frame.get_columns():
        digest.update(f"{column.name}:{column.dtype}".encode())
        digest.update(column.is_null().to_numpy().tobytes())
        if column.dtype == pl.String:
            digest.update("\0".join(column.fill_null("").to_list()).encode())
        else:
            digest.update(column.to_physical().fill_null(0).to_numpy().tobytes())
    return digest.hexdigest()


@cache
def code_fingerprint() -> str:
    """SHA-256 of the code behind a training and the versions of its libraries; comments and docstrings are no part.

    It is taken once per process, because a process goes on running the code it started with.
    """
    room = Path(__file__).parents[1]
    sources = [path for folder in SOURCES for path in sorted((room / folder).glob("*.py"))]
    paths = [path for path in sources if path.name not in WITHOUT] + [Path(windows.__file__)]
    libraries = sorted({*LIBRARIES, *(name for card in MODELS.values() for name in card.libraries)})
    trees = [_without_docstrings(ast.parse(path.read_text(encoding="utf-8"))) for path in paths]
    parts = [ast.dump(tree) for tree in trees] + [f"{name}=={version(name)}" for name in libraries]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """Drop every bare string, which is what docstrings are."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [statement for statement in body if not _is_text(statement)]  # type: ignore[attr-defined]
    return tree


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
