"""Background of a model: typical training windows of each regime, and the range that its features had in training.

It is a file of the bundle, `BACKGROUND_FILE`, whose SHA-256 stands in the signature; see
docs/adr/0045-backgrounds-lie-in-the-bundle.md.
"""

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lake.errors import ModelError

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

ANY_REGIME = "any"
"""Typical windows of all regimes together, for a regime that the training knew too few windows of."""
TYPICAL_WINDOWS = 4
PERCENTS = tuple(range(101))
LOW, HIGH = 1, 99
"""Percentiles between which a value counts as inside the range of training."""


class TypicalWindow(BaseModel):
    """One training window: whose it is, and its values ``[session][feature]``, oldest first; null is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str
    as_of: AwareDatetime
    values: tuple[tuple[float | None, ...], ...]


class Background(BaseModel):
    """Typical windows of each regime, and percentiles of each feature's last value over the training windows.

    Parameters
    ----------
    format
        Of this file.
    features
        In the order of the model's input.
    training_windows
        Windows that percentiles and typical windows were taken from.
    typical
        By regime, and under `ANY_REGIME` of all together: `TYPICAL_WINDOWS` windows.
    percentiles
        By feature, its last value at 0, 1, ... 100 percent of the training windows in which it is known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    features: tuple[str, ...] = Field(min_length=1)
    training_windows: int = Field(ge=1)
    typical: dict[str, tuple[TypicalWindow, ...]]
    percentiles: dict[str, tuple[float, ...]]

    @model_validator(mode="after")
    def _is_whole(self) -> "Self":
        if ANY_REGIME not in self.typical:
            raise ValueError("the typical windows of all regimes together are missing")
        if any(len(windows) != TYPICAL_WINDOWS for windows in self.typical.values()):
            raise ValueError(f"a regime has other than {TYPICAL_WINDOWS} typical windows")
        shapes = {
            (len(window.values), *{len(row) for row in window.values})
            for windows in self.typical.values()
            for window in windows
        }
        if len(shapes) != 1 or next(iter(shapes))[1:] != (len(self.features),):
            raise ValueError(f"the typical windows differ in their shape, or do not hold {len(self.features)} features")
        if set(self.percentiles) != set(self.features):
            raise ValueError("the percentiles are not those of the features")
        if any(len(values) != len(PERCENTS) or list(values) != sorted(values) for values in self.percentiles.values()):
            raise ValueError(f"a feature has other than {len(PERCENTS)} rising percentiles")
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Content of the file: the same background has the same bytes."""
        return self.model_dump_json().encode()

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> "Self":
        """Read the file of a model.

        Raises
        ------
        ModelError
            If it is no background.
        """
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            raise ModelError(
                f"The background of model '{name}' cannot be read: {'.'.join(map(str, first['loc'])) or 'it'}: "
                f"{first['msg']}. Export and promote the model again."
            ) from error

    def regime_of(self, regime: str) -> str:
        """Return the regime whose windows stand for a regime: its own, or `ANY_REGIME` where the training lacks it."""
        return regime if regime in self.typical else ANY_REGIME

    def windows_of(self, regime: str) -> "NDArray[np.float32]":
        """Return the typical windows of a regime, ``[window, session, feature]``; NaN is not known."""
        values: Any = [window.values for window in self.typical[self.regime_of(regime)]]
        return np.array(values, np.float32)

    def percentile_of(self, feature: str, value: float) -> float:
        """Return the share of training windows, in percent, whose last value is at most this one.

        Examples
        --------
        >>> numbers = [[0.0]] * 4
        >>> typical = [TypicalWindow(symbol="AAA", as_of="2020-01-02T21:00:00Z", values=[[0.0]])] * 4
        >>> rising = Background(
        ...     features=("a",), training_windows=9, typical={"any": typical}, percentiles={"a": range(101)}
        ... )
        >>> rising.percentile_of("a", 12.5), rising.percentile_of("a", -3.0), rising.percentile_of("a", 200.0)
        (12.5, 0.0, 100.0)
        """
        return float(self.percentiles_of(feature, np.array([value]))[0])

    def percentiles_of(self, feature: str, values: "NDArray[np.floating[Any]]") -> "NDArray[np.float64]":
        """Return the same of several values ``[value]``; NaN, which is not known, stays NaN."""
        held, asked = np.array(self.percentiles[feature]), values.astype(np.float64)
        place = np.clip(np.searchsorted(held, asked, side="right"), 1, len(held) - 1)
        below, above = held[place - 1], held[place]
        inside = place - 1 + (asked - below) / np.where(above > below, above - below, 1.0)
        shares: NDArray[np.float64] = np.where(asked < held[0], 0.0, np.where(asked >= held[-1], 100.0, inside))
        return np.where(np.isnan(asked), np.nan, shares)

    def spacing_at(self, feature: str, value: float) -> float:
        """Return the distance between the percentiles around a value, beyond an end that of the last two.

        0 for a value that several percentiles share, as those of a flag do.

        Examples
        --------
        >>> typical = [TypicalWindow(symbol="AAA", as_of="2020-01-02T21:00:00Z", values=[[0.0]])] * 4
        >>> held = [0.0] * 3 + [2.0 * place for place in range(1, 99)]
        >>> known = Background(
        ...     features=("a",), training_windows=9, typical={"any": typical}, percentiles={"a": held}
        ... )
        >>> [known.spacing_at("a", value) for value in (0.0, 2.0, 3.5, 500.0)]
        [0.0, 2.0, 2.0, 2.0]
        """
        held = np.array(self.percentiles[feature])
        if np.count_nonzero(held == value) > 1:
            return 0.0
        below = int(np.clip(np.searchsorted(held, value, side="right") - 1, 0, len(held) - 2))
        return float(held[below + 1] - held[below])

    def range_of(self, feature: str) -> tuple[float, float]:
        """Return the values of a feature at 1 % and at 99 % of the training windows."""
        held = self.percentiles[feature]
        return held[LOW], held[HIGH]
