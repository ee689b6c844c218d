"""The generated part of docs/operations.md, the table of metrics: ``python -m serving.monitoring.document``."""

from collections.abc import Iterable
from pathlib import Path

from serving.monitoring.metrics import METRICS, Metric

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
BEGIN, END = "<!-- metrics: generated -->\n", "<!-- end of metrics -->\n"


def metrics_table(metrics: Iterable[Metric] = METRICS) -> str:
    """Return the table as Markdown: each metric with its kind, its labels and its meaning."""
    rows = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning} |"
        for metric in metrics
    ]
    return "\n".join(["| metric | kind | labels | meaning |", "|---|---|---|---|", *rows]) + "\n"


def page_with_table(page: str) -> str:
    """Return the page with the table as it is now in its place."""
    before, _, rest = page.partition(BEGIN)
    return before + BEGIN + metrics_table() + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text("utf-8")), encoding="utf-8")
