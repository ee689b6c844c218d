"""Identities of the walk-forward's forecasts: the same forecast made again has the same one."""

import json
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from serving.forecasts import REPLAY, TRIAL, Member


def forecast_id(symbol: str, as_of: datetime, horizon: int, model: Member, kind: str = REPLAY) -> str:
    """Return the identity of a walk-forward's forecast: by kind, model file, symbol, session and horizon.

    That of a trial has the version as well: one file may be registered twice, and each version has a trial of its own.

    Examples
    --------
    >>> from datetime import UTC
    >>> close, model = datetime(2012, 12, 31, 21, tzinfo=UTC), Member("naive", "1", "ab", 1.0)
    >>> forecast_id("AAPL", close, 5, model)
    '206c9e2217553e31dd8de368ac8c533b'
    """
    return forecast_ids(subjects([symbol], [as_of]), horizon, model, kind)[0]


def subjects(symbols: Sequence[str], closes: Sequence[datetime]) -> list[str]:
    """Return what a forecast is of, symbol and close, as its identity has them.

    Examples
    --------
    >>> from datetime import UTC
    >>> subjects(["AAPL"], [datetime(2012, 12, 31, 21, tzinfo=UTC)])
    ['"AAPL", "2012-12-31T21:00:00+00:00"']
    """
    texts = {at: json.dumps(at.isoformat()) for at in set(closes)}
    return [f"{json.dumps(symbol)}, {texts[at]}" for symbol, at in zip(symbols, closes, strict=True)]


def forecast_ids(about: Sequence[str], horizon: int, model: Member, kind: str = REPLAY) -> list[str]:
    """Return the identity of each of some forecasts; see `forecast_id`.

    Parameters
    ----------
    about
        The `subjects` of the forecasts.
    """
    # The digest of the JSON of [kind, symbol, close, horizon, ...], most of which is the same for every forecast.
    shared = [horizon, model.name, model.digest] + ([model.version] if kind == TRIAL else [])
    before, after = f"[{json.dumps(kind)}, ", f", {json.dumps(shared)[1:]}"
    return [sha256(f"{before}{subject}{after}".encode()).hexdigest()[:32] for subject in about]
