"""The weights of the models in force, as the online store holds them: one row for the whole market."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Self

from feature_repo.online.packing import event_time
from feature_repo.online.views import BLEND

COLUMNS = ("model_horizons", "models", "model_weights")
FIELDS = ("horizons", "models", "weights")
_read = BLEND.layout.reader(COLUMNS)


@dataclass(frozen=True)
class BlendWeights:
    """One entry per horizon and model; every tuple has that length. See the table `blend_weights`.

    Parameters
    ----------
    as_of
        Close by which every outcome they were learned from was known.
    horizons, models
        What an entry is for.
    weights
        Its weight; those of a horizon sum to one.

    Examples
    --------
    >>> models, weights = ("garch", "tft", "garch", "tft"), (0.4, 0.6, 1.0, 0.0)
    >>> known = BlendWeights(datetime(2012, 12, 31), (1, 1, 5, 5), models, weights)
    >>> known.of_horizon(5)
    {'garch': 1.0}
    """

    as_of: datetime
    horizons: tuple[int, ...]
    models: tuple[str, ...]
    weights: tuple[float, ...]

    def of_horizon(self, horizon: int) -> dict[str, float]:
        """Weight of each model at a horizon, in order of their names; those with no weight are left out."""
        entries = zip(self.horizons, self.models, self.weights, strict=True)
        return dict(sorted((model, weight) for at, model, weight in entries if at == horizon and weight > 0))

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Return the weights in a row of the table `blend_weights`."""
        return cls(row["event_time"], *(tuple(row[name]) for name in COLUMNS))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers come back to the last bit."""
        return asdict(self) | {"as_of": self.as_of.isoformat()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read back what `to_dict` wrote."""
        return cls(datetime.fromisoformat(values["as_of"]), *(tuple(values[name]) for name in FIELDS))


@lru_cache(maxsize=8)
def held_weights(value: bytes) -> BlendWeights:
    """Unpack a row of the view; the same bytes are unpacked once."""
    horizons, models, weights = _read(value)
    return BlendWeights(event_time(value), tuple(horizons.tolist()), tuple(models), tuple(weights.tolist()))


def weights_in_force(rows: Sequence[bytes], now: datetime) -> BlendWeights | None:
    """Return what the view holds; None where it holds nothing, or something that has outlived what it allows."""
    held = held_weights(rows[0]) if rows else None
    return held if held is not None and BLEND.is_current(held.as_of, now) else None
