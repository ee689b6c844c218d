"""From the losses of models to their weights: the exponentially weighted average forecaster."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lake.errors import ConfigError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WeightRule:
    """How quickly weights follow losses.

    Parameters
    ----------
    learning_rate
        ``eta``, per session and unit of the models' mean loss. With 3, a model that loses 1 % more than another over
        250 sessions has a thousandth of its weight.
    half_life_sessions
        After how many sessions a loss counts half, so that a market that changes is followed.
    least
        A weight below this is 0: such a model is not computed.

    Notes
    -----
    Rate and half-life were chosen by forecasts of 2004 to 2008. Rates from 3 to 40 and half-lives from 115 sessions on
    lose the same to 0.1 % in the years after.
    """

    learning_rate: float = 3.0
    half_life_sessions: float = 231.0
    least: float = 0.01

    def __post_init__(self) -> None:
        """Refuse a rule that cannot weigh."""
        if self.learning_rate < 0 or self.half_life_sessions <= 0 or not 0 <= self.least < 1:
            raise ConfigError(
                f"The rule of blend weights has learning_rate {self.learning_rate}, half_life_sessions "
                f"{self.half_life_sessions} and least {self.least}; expected at least 0, above 0, and 0 to below 1."
            )

    @property
    def decay(self) -> float:
        """What is left of a loss a session later."""
        return float(0.5 ** (1.0 / self.half_life_sessions))


def exponential_weights(losses: FloatArray, unit: float, rule: WeightRule) -> FloatArray:
    """Weigh models by ``exp(-eta L / unit)``, where L is what each has lost together.

    The pinball loss is convex in the quantile, so an average of quantiles by these weights loses at most
    ``ln(models) / eta`` units more than the best model, plus ``eta / 8`` times the squared range of one session's
    losses for each session (Cesa-Bianchi and Lugosi 2006, *Prediction, Learning, and Games*, theorem 2.2; for quantiles
    Berrisch and Ziel 2023, *CRPS learning*, Journal of Econometrics 237).

    Parameters
    ----------
    losses
        ``[model]``: the sum over sessions.
    unit
        Mean loss of a session, above 0.

    Returns
    -------
    FloatArray
        ``[model]``, summing to one; equal before anything was lost.

    Examples
    --------
    >>> exponential_weights(np.array([10.0, 10.1, 12.0]), 1.0, WeightRule()).round(2)
    array([0.57, 0.43, 0.  ])
    """
    shares = np.exp(-rule.learning_rate * (losses - losses.min()) / unit)
    shares /= shares.sum()
    kept: FloatArray = np.where(shares < min(rule.least, shares.max()), 0.0, shares)
    kept /= kept.sum()
    return kept
