"""Grafana boards as values; ``python -m serving.monitoring.grafana_dashboard`` writes a file for each.

- `overview`, `serving`, `pipeline`, `honesty`: the boards
- `panels`: what a panel is, and the expressions that it is made of
- `layout`: boards as Grafana's JSON
"""

import json
from pathlib import Path

from serving.monitoring.grafana_dashboard.honesty import HONESTY
from serving.monitoring.grafana_dashboard.layout import dashboard
from serving.monitoring.grafana_dashboard.overview import OVERVIEW
from serving.monitoring.grafana_dashboard.panels import Board
from serving.monitoring.grafana_dashboard.pipeline import PIPELINE
from serving.monitoring.grafana_dashboard.serving import SERVING

__all__ = ["BOARDS", "Board", "dashboard", "file_of", "write_boards"]

BOARDS = (OVERVIEW, SERVING, PIPELINE, HONESTY)
FOLDER = Path(__file__).parents[1] / "boards"


def file_of(board: Board) -> Path:
    """Return the committed file of a board."""
    return FOLDER / f"{board.name}.json"


def write_boards() -> None:
    """Write the file of every board."""
    FOLDER.mkdir(exist_ok=True)
    for board in BOARDS:
        file_of(board).write_text(json.dumps(dashboard(board), indent=1) + "\n", encoding="utf-8")
