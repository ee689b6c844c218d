"""Bar scenarios of `quantlake explain --scenario`: how one is typed, and how its answer is shown."""

from typing import TYPE_CHECKING

from dagster_project.commands.shell import DataTable, ShownColumn
from lake.errors import ConfigError

if TYPE_CHECKING:
    from serving.api.explanations import BarChange, CounterfactualAnswer

MEMBERS = {"close": "close_change", "volume": "volume_ratio", "range": "range_ratio"}


def scenario_of(text: str) -> "BarChange":
    """Return the bar of a scenario as it is typed.

    Raises
    ------
    ConfigError
        If it is not of the form ``close=-3%,volume=2,range=1.5``, or no bar can be so.

    Examples
    --------
    >>> scenario_of("close=-3%,volume=2")
    BarChange(close_change=-0.03, volume_ratio=2.0, range_ratio=1.0)
    """
    from pydantic import ValidationError

    from serving.api.explanations import BarChange

    try:
        pairs = dict(part.strip().split("=", 1) for part in text.split(","))
        return BarChange(**{MEMBERS[name]: _number(value) for name, value in pairs.items()})
    except (ValueError, KeyError, ValidationError) as error:
        raise ConfigError(
            f"The scenario is '{text}', expected e.g. close=-3%,volume=2,range=1.5: the change of the close, volume "
            "and range by the true ones. Name one of them at least."
        ) from error


def _number(text: str) -> float:
    return round(float(text.removesuffix("%")) / 100, 12) if text.endswith("%") else float(text)


def scenario_tables(answer: "CounterfactualAnswer") -> list[DataTable]:
    """Return the stored forecast beside that from the changed bar, and the features that moved."""
    from serving.explain import percent

    assert answer.changed is not None
    of_forecast = (
        ShownColumn("number"),
        ShownColumn("stored", shown=percent),
        ShownColumn("changed", shown=percent),
    )
    numbers = [
        {"number": name, "stored": getattr(answer.stored, name), "changed": getattr(answer.changed, name)}
        for name in ("p10", "p50", "p90")
    ]
    of_features = (
        ShownColumn("feature"),
        ShownColumn("before", shown=lambda value: f"{value:.4g}"),
        ShownColumn("after", shown=lambda value: f"{value:.4g}"),
        ShownColumn("percentile_before", "percentile", shown=lambda value: f"{value:.0f}"),
        ShownColumn("percentile_after", "then", shown=lambda value: f"{value:.0f}"),
    )
    moved = [each.model_dump(include={column.name for column in of_features}) for each in answer.moved]
    title = f"{answer.symbol} as of {answer.as_of:%Y-%m-%d}: forecast from a changed last bar"
    return [DataTable.of(title, of_forecast, numbers), DataTable.of("Features that moved", of_features, moved)]
