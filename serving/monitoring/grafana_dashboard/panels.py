"""Panels as values, and the expressions that they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass

OF_MODEL = "{{model}} {{horizon_sessions}}"
SERVED = '{route="/api/v1/public/predict"}'


@dataclass(frozen=True)
class DashboardPanel:
    """One panel.

    Parameters
    ----------
    title, meaning
        What it shows, in a few words and in a sentence.
    unit
        Grafana's name of the unit.
    queries
        Expressions by legend.
    kind
        Grafana's name of the kind of panel.
    has_negative
        Whether values can lie below zero; the axis of a curve begins at zero otherwise.
    """

    title: str
    meaning: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"
    has_negative: bool = False


@dataclass(frozen=True)
class Board:
    """One Grafana dashboard.

    Parameters
    ----------
    name
        Of its file, and of its address behind ``quantlake-``.
    meaning
        The question that it answers.
    sections
        Panels by the title of their row.
    """

    name: str
    meaning: str
    sections: Mapping[str, tuple[DashboardPanel, ...]]

    @property
    def uid(self) -> str:
        """Grafana's key of it."""
        return f"quantlake-{self.name}"


def quantile(share: float, name: str, by: str = "", where: str = "") -> str:
    """Quantile of a histogram over the shown interval; ``by`` keeps labels apart, ``where`` selects series."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({name}_bucket{where}[$__rate_interval])))"


def rate(selector: str, by: str = "") -> str:
    """Rate a second of a counter; ``by`` keeps labels apart."""
    return f"sum {f'by ({by}) ' if by else ''}(rate({selector}[$__rate_interval]))"


def share(part: str, whole: str) -> str:
    """Share of one counter's rate in another's."""
    return f"{rate(part)} / {rate(whole)}"
