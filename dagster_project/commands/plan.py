"""What a first run takes in and trains, and about how long it takes, said before it begins."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lake.errors import NotReadyError

if TYPE_CHECKING:
    from datetime import datetime

    from lake.settings import Settings

TIMED = "demo"
"""Experiment whose whole run was timed."""
BARS_A_MINUTE = 30_000
"""Bars that the whole graph takes from source to served forecast in a minute, training included, on two cores."""


def plan_of(settings: "Settings", at: "datetime | None" = None) -> str:
    """Say what the first run takes in and trains; the source is read for it, and nothing is written.

    A market that is too short to be trained on by the rows of this source alone has no plan of the training: another
    source may have more.

    Parameters
    ----------
    at
        Instant up to which the run takes in what the source has; the market's now by default.
    """
    from lake.sources import source_of

    market, source = settings.declared_market, source_of(settings)
    now = at or settings.clock.now()
    rows = source.read(None, now).rows
    if not rows.height:
        return f"Market '{market.name}': its source has no bar by {now:%Y-%m-%d}.\n"
    first, last = (f"{day}" for day in rows["event_time"].sort().dt.date()[[0, -1]])
    lines = [
        f"Market '{market.name}': {rows.height:,} bars of {rows['symbol'].n_unique()} symbols, {first} to {last}.",
        *(f"  {caveat}" for caveat in getattr(source, "caveats", ())),
    ]
    with suppress(NotReadyError):
        lines += _training(settings, rows)
    if settings.experiment == TIMED:
        minutes = max(1, round(rows.height / BARS_A_MINUTE))
        lines.append(f"About {minutes} minute{'s' * (minutes > 1)} on two cores that do nothing else.")
    return "\n".join([*lines, ""])


def _training(settings: "Settings", rows: Any) -> list[str]:
    """What is trained on rows of the source."""
    from lake.calendars import close_of
    from lake.market import DEMO
    from training.experiments import fit_to_bars, load_experiment, plan_training

    market, experiment, lines = settings.declared_market, load_experiment(settings.experiment), list[str]()
    if market.name != DEMO.name:
        experiment = fit_to_bars(experiment, market, rows.lazy())
        lines.append(f"The experiment '{settings.experiment}' is fitted to that length: fewer folds where it is short.")
    learnt = rows.filter(rows["event_time"] <= close_of(experiment.train_until, market.calendar)).height
    return [*lines, *plan_training(experiment, learnt, settings.home / "training").sentences()]
