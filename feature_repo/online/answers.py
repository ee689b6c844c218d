"""What the online store answers: windows with all that a forecast needs, or rows of one view, with source and age."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.online.blend import BlendWeights
from feature_repo.online.calibration import OnlineCalibration
from feature_repo.online.degradation import Degradation
from feature_repo.online.generations import Generation
from feature_repo.online.source import Source
from feature_repo.targets import FloatArray
from lake.calendars import VENUE


@dataclass(frozen=True)
class Served:
    """Who answered a read, and when.

    Parameters
    ----------
    source
        ``redis``, or ``snapshot`` for the copy in memory that stands in for it.
    degradation
        Why Redis did not answer; None when it did.
    written_at
        Wall-clock time at which the values were materialised.
    read_at
        Wall-clock time of the read.
    now
        Market time of the read, against which ages count.
    generation
        What was written together with the values; its number is `written_at` in microseconds.
    calendar
        Sessions of the market, in which ages count.
    """

    source: Source
    degradation: Degradation | None
    written_at: datetime
    read_at: datetime
    now: datetime
    generation: Generation
    calendar: str = VENUE

    @property
    def versions(self) -> dict[str, int]:
        """Delta versions that the values were read from, by table; empty where the writer recorded none."""
        return self.generation.versions or {}

    @property
    def is_degraded(self) -> bool:
        """Whether something else than Redis answered."""
        return self.degradation is not None

    @property
    def reason(self) -> str:
        """The degradation as a sentence for people; empty when Redis answered."""
        return "" if self.degradation is None else str(self.degradation)

    @property
    def written_age(self) -> timedelta:
        """How long ago the values were materialised, by the wall clock."""
        return self.read_at - self.written_at


@dataclass(frozen=True)
class OnlineBatch:
    """What the online store holds for the symbols that were asked for; every list is aligned with `symbols`.

    Parameters
    ----------
    symbols
        Those with a model input, in the order asked.
    as_of
        Close of the last session of each window.
    window
        float32 ``[symbol, session, feature]``, oldest session first; NaN is not known.
    reference_price
        Price as traded that the forecast returns start from; None where none is known.
    price_basis
        ``as_traded``, or why there is no price; see the table `model_windows`.
    currency
        ISO code of the price; None where the market does not say.
    feature_hash
        Identity of each window, see `feature_repo.targets.windows.window_hash`.
    table_versions
        Versions of the tables each window was made from.
    selected_strategy, strategies, weights, confidence
        The strategy in force; None and empty where none has been assigned yet.
    regime
        Regime of the market, None before the first is known.
    blend
        Weights of the models in force; None before the first, and once they have expired.
    calibration
        Calibration in force; None before the first, and once it has expired.
    missing
        Symbols without a model input, or with one of another size, made for an earlier signature.
    known_time
        When each window was known.
    expired
        Views whose value has outlived what the view allows: ``window_…``, ``strategy``, ``regime``. Such a value is
        there to be looked at and must not be served as fresh; nothing is expired where the tuple is empty.
    packed
        The bytes that the window and the strategy were unpacked from: those that are the same say the same.
    served
        Who answered, and when.
    """

    symbols: list[str]
    as_of: list[datetime]
    window: FloatArray
    reference_price: list[float | None]
    price_basis: list[str | None]
    currency: list[str | None]
    feature_hash: list[str]
    table_versions: list[dict[str, int]]
    selected_strategy: list[str | None]
    strategies: list[list[str]]
    weights: list[list[float]]
    confidence: list[float | None]
    regime: str | None
    blend: BlendWeights | None
    calibration: OnlineCalibration | None
    missing: list[str]
    known_time: list[datetime]
    expired: list[tuple[str, ...]]
    packed: list[tuple[bytes, bytes]]
    served: Served

    def __len__(self) -> int:
        """How many symbols have a model input."""
        return len(self.symbols)

    @property
    def source(self) -> Source:
        """Who answered."""
        return self.served.source

    @property
    def generation(self) -> Generation:
        """What was written together with the values: its number, the market time and the versions of the tables."""
        return self.served.generation

    @property
    def event_age(self) -> list[timedelta]:
        """How long before the market's now each window ends."""
        return [self.served.now - at for at in self.as_of]

    @property
    def known_age(self) -> list[timedelta]:
        """How long each window has been known, by the market's now."""
        return [self.served.now - at for at in self.known_time]


@dataclass(frozen=True)
class ViewRows:
    """Numbers of one view; every list is aligned with `names`.

    Parameters
    ----------
    names
        Entities that have a row, in the order asked; `missing` holds the others.
    columns
        Names of the numbers.
    values
        float64 ``[entity, column]``; NaN is not known.
    as_of, known_time
        Event time and known time of each row.
    is_expired
        Whether the row has outlived what the view allows.
    served
        Who answered, and when.
    """

    names: list[str]
    missing: list[str]
    columns: list[str]
    values: npt.NDArray[np.float64]
    as_of: list[datetime]
    known_time: list[datetime]
    is_expired: list[bool]
    served: Served


@dataclass(frozen=True)
class ViewRow:
    """One row of a view, with columns of every kind.

    Parameters
    ----------
    values
        By column; None is not known, and a list of numbers is an array.
    as_of, known_time
        Event time and known time of the row.
    is_expired
        Whether it has outlived what the view allows.
    served
        Who answered, and when.
    """

    values: dict[str, Any]
    as_of: datetime
    known_time: datetime
    is_expired: bool
    served: Served
