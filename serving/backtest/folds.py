"""Folds of a back-test: stretches of sessions after all that the models learnt from, each scored apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl

from lake.calendars import count_closes
from lake.errors import LookAheadError, ModelError, NotReadyError
from serving.backtest.strategy_file import FoldPlan
from serving.engines import Bundle

ModelKey = tuple[str, str, str]
"""Name, version and digest of a model."""


@dataclass(frozen=True)
class Fold:
    """Sessions that are scored together.

    Parameters
    ----------
    name
        Day of its first session.
    first, last
        Places of its first and last session.
    learnt_until
        Newest label that a model behind its forecasts learnt from; None where no model file tells.
    gap_sessions
        Closes from `learnt_until` to the one before its first: the purge gap, embargo included; None likewise.
    embargoed
        Places of its sessions that are not scored, because a model learnt from labels that end shortly before.
    """

    name: str
    first: int
    last: int
    learnt_until: datetime | None
    gap_sessions: int | None
    embargoed: tuple[int, ...]

    @property
    def scored(self) -> list[int]:
        """Places of the sessions that are scored."""
        return [place for place in range(self.first, self.last + 1) if place not in self.embargoed]


def learnt_until(models: Path, forecasts: pl.DataFrame) -> dict[ModelKey, datetime | None]:
    """Return of each model version behind some forecasts until when it learnt; None where its file does not tell.

    Parameters
    ----------
    models
        Folder of the exported models.
    forecasts
        ``model_name``, ``model_version``, ``model_digest``.
    """
    found: dict[ModelKey, datetime | None] = {}
    for name, version, digest in forecasts.select("model_name", "model_version", "model_digest").unique().iter_rows():
        try:
            bundle = Bundle.load(models / name / version, version=version)
        except ModelError:
            found[name, version, digest] = None
        else:
            found[name, version, digest] = bundle.signature.train_until if bundle.digest == digest else None
    return found


def newest_labels(
    forecasts: pl.DataFrame, learnt: Mapping[ModelKey, datetime | None]
) -> dict[datetime, datetime | None]:
    """Return for each close that was forecast from the newest label that any of its models learnt from.

    Raises
    ------
    LookAheadError
        If a model learnt from a label that ends after a close that it forecast from: such forecasts are no test.
    """
    newest: dict[datetime, datetime | None] = {}
    keys = forecasts.select("event_time", "model_name", "model_version", "model_digest").unique().sort("event_time")
    for at, *key in keys.iter_rows():
        until = learnt.get((key[0], key[1], key[2]))
        if until is not None and until > at:
            raise LookAheadError(
                f"Model {key[0]} {key[1]} learnt from labels up to {until:%Y-%m-%d} and its forecast of "
                f"{at:%Y-%m-%d} is earlier: it is not out of sample. Back-test on forecasts after that day."
            )
        known = newest.get(at)
        newest[at] = until if known is None else max(known, until or known)
    return newest


def first_session(
    closes: Sequence[datetime], newest: Mapping[datetime, datetime | None], plan: FoldPlan, calendar: str
) -> datetime:
    """Return the first close that lies beyond the embargo of the models that forecast from it.

    Raises
    ------
    NotReadyError
        If there is none.
    """
    for at in closes:
        if not is_embargoed(at, newest.get(at), plan, calendar):
            return at
    raise NotReadyError(
        f"All {len(closes)} closes with forecasts lie within the embargo of {plan.embargo_sessions} sessions after "
        "what the models learnt from. Let more sessions close, or declare a shorter embargo under `folds`."
    )


def is_embargoed(at: datetime, until: datetime | None, plan: FoldPlan, calendar: str) -> bool:
    """Whether a close lies within the embargo after the newest label; not where that is not known.

    Examples
    --------
    >>> from datetime import UTC
    >>> friday, monday = datetime(2012, 1, 6, 21, tzinfo=UTC), datetime(2012, 1, 9, 21, tzinfo=UTC)
    >>> [is_embargoed(monday, friday, FoldPlan(embargo_sessions=n), "XNYS") for n in (0, 1)]
    [False, True]
    """
    return until is not None and count_closes(until, at, calendar) <= plan.embargo_sessions


def folds_of(
    sessions: Sequence[datetime], newest: Mapping[datetime, datetime | None], plan: FoldPlan, calendar: str
) -> list[Fold]:
    """Cut the sessions of a back-test into folds of the declared length; a short rest joins the last one.

    The return of a session belongs to the fold of that session, whichever session its position was decided in; the
    parameters of a strategy are the same in all folds, fixed before the first.

    Parameters
    ----------
    sessions
        Closes of the back-test: at the first one nothing has been earned yet, so that no fold holds it.
    newest
        As `newest_labels` returns it.

    Raises
    ------
    NotReadyError
        If there are fewer sessions than two.
    """
    if len(sessions) < 2:  # noqa: PLR2004 - one to decide, one to earn
        raise NotReadyError(
            f"There are {len(sessions)} sessions to score, expected 2 at least. Let more sessions close."
        )
    starts = list(range(1, len(sessions), plan.sessions))
    if len(starts) > 1 and len(sessions) - starts[-1] < plan.sessions // 2:
        starts.pop()
    ends = [start - 1 for start in starts[1:]] + [len(sessions) - 1]
    folds = []
    for start, end in zip(starts, ends, strict=True):
        untils = [until for at in sessions[start - 1 : end] if (until := newest.get(at)) is not None]
        until = max(untils, default=None)
        late = tuple(
            place
            for place in range(start, end + 1)
            if is_embargoed(sessions[place - 1], newest.get(sessions[place - 1]), plan, calendar)
        )
        scored = [place for place in range(start, end + 1) if place not in late]
        decided = sessions[(scored[0] if scored else start) - 1]
        earlier = [each for each in untils if each <= decided]
        gap = count_closes(max(earlier), decided, calendar) - 1 if earlier else None
        folds.append(Fold(f"{sessions[start]:%Y-%m-%d}", start, end, until, gap, late))
    return folds
