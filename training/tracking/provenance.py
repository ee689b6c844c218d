"""Where a run comes from: the commit of the code, and the tables that were learnt from."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

ROOT = Path(__file__).parents[2]
LONGEST_DIGEST = 36
"""Letters that MLflow keeps of the digest of a dataset."""


@dataclass(frozen=True)
class LearntTable:
    """A table as a training read it.

    Parameters
    ----------
    name, version
        Table of the lake, and its Delta version.
    digest
        Of the rows that were kept of it; two trainings with one digest learnt from the same rows.
    rows
        How many rows were kept.
    columns
        Name to type, as in the frame.
    """

    name: str
    version: int
    digest: str
    rows: int
    columns: Mapping[str, str]

    def as_input(self) -> "DatasetInput":
        """Return it as MLflow lists it; the path is that below the home, so that a home that moves keeps it."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = {"path": f"tables/{self.name}", "delta_table_name": self.name, "delta_table_version": self.version}
        columns = [{"name": name, "type": kind, "required": True} for name, kind in self.columns.items()]
        dataset = Dataset(
            self.name,
            self.digest[:LONGEST_DIGEST],
            source_type="delta_table",
            source=json.dumps(source),
            schema=json.dumps({"mlflow_colspec": columns}),
            profile=json.dumps({"num_rows": self.rows}),
        )
        return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


@cache
def source_commit() -> str | None:
    """Return the commit that this code was checked out at, 40 hex digits; None where it is no checkout.

    Examples
    --------
    >>> commit = source_commit()
    >>> commit is None or len(commit) == 40
    True
    """
    git = shutil.which("git")
    if git is None:
        return None
    asked = subprocess.run([git, "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else None


def source_tags(entry: str) -> dict[str, str]:
    """Tags by which MLflow shows what made a run: the function, and the commit where the code is a checkout.

    Parameters
    ----------
    entry
        Function that made the run, e.g. ``training.stages``.
    """
    commit = source_commit()
    found = {"mlflow.source.type": "LOCAL", "mlflow.source.name": entry}
    return found if commit is None else found | {"mlflow.source.git.commit": commit}
