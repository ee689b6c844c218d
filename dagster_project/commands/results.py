"""What `demo`, `run` and `advance` did, as values: one JSON document, or the served forecasts as CSV."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dagster_project.commands.shell import DataTable, is_for_program, progress_on_stderr

if TYPE_CHECKING:
    from rich.console import Console

    from lake.settings import Settings

DONE, NOTHING_TO_DO, PLANNED = "done", "nothing_to_do", "planned"
"""Outcomes of a verb: something new is served, nothing that is served was out of date, or only a plan was made."""


@dataclass(frozen=True)
class RunResult:
    """What a run of the asset graph made, and the forecasts that the service gave after it.

    Parameters
    ----------
    command
        Verb that ran it.
    before
        Close of the newest session that had been forecast when the run began; None for none.
    is_first
        Whether models were trained and put in service for the first time in this home.
    made
        New rows by asset, 0 for what has no rows; assets that had nothing to do are left out.
    answers
        Forecasts as the endpoint gives them; None where nothing is new that the service answers from.
    seconds
        How long it took, on the wall.
    matured
        Forecasts whose outcome came since `before`; None where the verb does not show them.
    selections_before
        The strategies in force when the run began; None where the verb does not compare them.
    """

    command: str
    before: datetime | None
    is_first: bool
    made: Mapping[str, int]
    answers: list[dict[str, Any]] | None
    seconds: float
    matured: DataTable | None = None
    selections_before: DataTable | None = None

    @property
    def outcome(self) -> str:
        """`DONE` or `NOTHING_TO_DO`."""
        return NOTHING_TO_DO if self.answers is None else DONE

    def document(self, settings: "Settings") -> dict[str, Any]:
        """Return everything that the verb shows a person, as values, and the assets that were made."""
        from dagster_project.commands import decisions, summaries

        now = settings.clock.now()
        return {
            "command": self.command,
            "market": settings.declared_market.name,
            "outcome": self.outcome,
            "message": summaries.nothing_to_do(now) if self.answers is None else f"Up to the close of {now:%Y-%m-%d}.",
            "before": self.before,
            "now": now,
            "seconds": round(self.seconds, 3),
            "is_first": self.is_first,
            "made": [{"asset": asset, "rows_added": rows} for asset, rows in self.made.items()],
            "tables": summaries.tables(settings).records(),
            "weights": summaries.model_weights(settings).records(),
            "selections": summaries.selections(settings).records(),
            "selections_before": None if self.selections_before is None else self.selections_before.records(),
            "matured": None if self.matured is None else self.matured.records(),
            "caveats": summaries.caveats(settings),
            "forecasts": self.answers or [],
            "decisions": {
                line.name: {"text": line.text, "values": line.values} for line in decisions.decision_lines(settings)
            },
        }


def carry_out(
    work: Callable[[], RunResult],
    show: Callable[[RunResult], None],
    settings: "Settings",
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Run a verb and show a person its result, or print it for a program: CSV holds the forecasts, a line each.

    For a program the progress of the run goes to standard error, so that the result is all there is to read.
    """
    from dagster_project.commands import summaries

    with progress_on_stderr(when=as_json or as_csv):
        result = work()
    if as_json or as_csv:
        table = summaries.forecast_table(result.answers or [])
        is_for_program(result.document(settings), table, as_json=as_json, as_csv=as_csv)
    else:
        show(result)


def show_plan(command: str, plan: str, console: "Console", *, as_json: bool, as_csv: bool) -> None:
    """Print a plan as sentences, as JSON, or as CSV with a sentence in each line."""
    sentences = [line.strip() for line in plan.splitlines() if line.strip()]
    table = DataTable.of_tuples("", ("sentence",), ([sentence] for sentence in sentences))
    document = {"command": command, "outcome": PLANNED, "plan": sentences}
    if not is_for_program(document, table, as_json=as_json, as_csv=as_csv):
        console.print(plan, highlight=False)
