"""What every model is given and what it answers, as values.

The input is one tensor `[batch, session, 2 * feature]`: the first half of the last axis holds the feature values
(0 where not known), the second half holds the flags (1 known, 0 not known). The answer is one tensor
`[batch, horizon, quantile]` of simple returns over each horizon, ascending along the last axis.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feature_repo.targets.windows import SCALES
from lake.errors import ConfigError

SESSIONS_PER_YEAR = 252
"""Sessions by which volatilities were annualised."""


@dataclass(frozen=True)
class InputSpec:
    """The window a model sees.

    Parameters
    ----------
    features
        Names, in the order of the columns; the scales are among them.
    sessions
        Length of the window; the last session is the one the forecast is made at.
    scales
        Annualised volatilities that every forecast is scaled by: one for each horizon, or one for all.

    Raises
    ------
    ConfigError
        If there is no session, a name is repeated, or a scale is missing.
    """

    features: tuple[str, ...]
    sessions: int
    scales: tuple[str, ...] = SCALES

    def __post_init__(self) -> None:
        if self.sessions < 1:
            raise ConfigError(f"A window has {self.sessions} sessions. Give InputSpec(sessions=...) at least 1.")
        if len(set(self.features)) != len(self.features):
            raise ConfigError(f"A feature is named twice in {list(self.features)}. Name each feature of a window once.")
        missing = [scale for scale in self.scales if scale not in self.features]
        if missing or not self.scales:
            raise ConfigError(
                f"The window has no '{', '.join(missing)}', found {list(self.features)}. Forecasts are scaled by it: "
                "add it."
            )

    @property
    def width(self) -> int:
        """Size of the last axis: one value and one flag per feature."""
        return 2 * len(self.features)

    @property
    def scale_indices(self) -> list[int]:
        """Positions of the scales among the features."""
        return self.positions(self.scales)

    def positions(self, names: tuple[str, ...]) -> list[int]:
        """Return the positions of features by name.

        Raises
        ------
        ConfigError
            If the window has none of that name.
        """
        missing = [name for name in names if name not in self.features]
        if missing:
            raise ConfigError(f"The window has no '{missing[0]}', found {list(self.features)}. Add it to the window.")
        return [self.features.index(name) for name in names]

    def example(self, batch: int, seed: int = 0) -> npt.NDArray[np.float32]:
        """Return made-up windows that fit: for tracing an export and for trying an engine, never for a forecast.

        Parameters
        ----------
        batch
            How many windows.
        seed
            The same seed gives the same windows.

        Returns
        -------
        numpy.ndarray
            float32 `[batch, session, 2 * feature]`; about one flag in ten is 0, the scales are always known.
        """
        random = np.random.default_rng(seed)
        shape = (batch, self.sessions, len(self.features))
        known = random.random(shape) < 0.9  # noqa: PLR2004 - a mixture of known and unknown, as the market has it
        known[..., self.scale_indices] = True
        values = random.standard_normal(shape)
        values[..., self.scale_indices] = 0.1 + 0.4 * random.random((*shape[:2], len(self.scales)))
        return np.concatenate([np.where(known, values, 0.0), known], axis=-1).astype(np.float32)


@dataclass(frozen=True)
class OutputSpec:
    """What a model answers.

    Parameters
    ----------
    horizons
        As `lake.market.Market.horizon_bars` counts them, ascending.
    quantiles
        Three levels: a lower one, the median, an upper one.
    lengths
        How many bars each spans on average; the horizons themselves where none are given, which count bars.

    Raises
    ------
    ConfigError
        If a horizon is not positive, the order is wrong, or the middle quantile is not 0.5.
    """

    horizons: tuple[int, ...] = (1, 5)
    quantiles: tuple[float, float, float] = (0.1, 0.5, 0.9)
    lengths: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.horizons or min(self.horizons) < 1 or list(self.horizons) != sorted(set(self.horizons)):
            raise ConfigError(f"Horizons must be ascending numbers of sessions, found {self.horizons}. Try (1, 5).")
        if self.lengths and len(self.lengths) != len(self.horizons):
            raise ConfigError(
                f"The horizons {self.horizons} have the lengths {self.lengths}. Give one for each, or none."
            )
        low, middle, high = self.quantiles
        if not 0 < low < middle < high < 1 or middle != 0.5:  # noqa: PLR2004 - the median is 0.5 by definition
            raise ConfigError(f"Quantiles must be (low, 0.5, high) within 0..1, found {self.quantiles}.")

    @property
    def bars(self) -> tuple[float, ...]:
        """How many bars each horizon spans on average.

        Examples
        --------
        >>> OutputSpec((1, 4)).bars, OutputSpec((1, 1_000), lengths=(1.0, 143.5)).bars
        ((1, 4), (1.0, 143.5))
        """
        return self.lengths or self.horizons
