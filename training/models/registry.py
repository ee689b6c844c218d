"""The register of models: one card each, in the order in which tables list them.

Adding a model touches its own file, its card here, and its tests (see CONTRIBUTING.md). Experiments, the search, the
fit, the model table and the pool of strategies follow from the card.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Self

from pydantic import Field, model_validator

from feature_repo.targets import HORIZONS
from lake.errors import ConfigError, UnknownNameError
from training.models.card import (
    AtOnce,
    Choice,
    FedStrategy,
    GradientDescent,
    ModelCard,
    Parameters,
    Range,
    Unfitted,
)
from training.models.spec import OutputSpec

BASELINE = "naive"
"""The model whose loss every row of `evaluations` is compared with; verdicts are against the best baseline."""

OUTPUTS = OutputSpec(HORIZONS)
"""Of every card; a model is built for the horizons of the windows that it learns from."""

_CARDS: dict[str, ModelCard] = {}
MODELS: Mapping[str, ModelCard] = MappingProxyType(_CARDS)
"""Cards by name of the model, in the order they were registered: the simplest first."""


def register(card: ModelCard) -> ModelCard:
    """Add a model to `MODELS`, and return its card.

    Raises
    ------
    ConfigError
        If its name, or that of a strategy it feeds, is taken.
    """
    taken = {strategy.name: other.name for other in _CARDS.values() for strategy in other.strategies}
    if card.name in _CARDS:
        raise ConfigError(f"There is a model '{card.name}' already. Give the card another name.")
    for strategy in card.strategies:
        if strategy.name in taken:
            raise ConfigError(
                f"Model '{card.name}' feeds a strategy '{strategy.name}', as '{taken[strategy.name]}' does already. "
                "Give the strategy another name."
            )
    _CARDS[card.name] = card
    return card


@contextmanager
def registered(card: ModelCard) -> Iterator[ModelCard]:
    """Have a model in `MODELS` for the time of a block: for a notebook, or a test."""
    register(card)
    try:
        yield card
    finally:
        del _CARDS[card.name]


def card_of(name: str) -> ModelCard:
    """Return the card of a model.

    Raises
    ------
    UnknownNameError
        If there is no such model; the message lists the nearest names.

    Examples
    --------
    >>> card_of("ridge").parameters().penalty
    1000.0
    """
    if name not in _CARDS:
        raise UnknownNameError("model", name, tuple(_CARDS))
    return _CARDS[name]


class NaiveParameters(Parameters):
    """Naive has no parameters: zero return, and the band of a normal distribution of the window's volatility."""


register(
    ModelCard(
        name=BASELINE,
        meaning="Zero return, as uncertain as the last volatility says.",
        build="training.models.volatility:NaiveForecaster",
        fit=Unfitted(),
        parameters=NaiveParameters,
        space=(),
        outputs=OUTPUTS,
        strategies=(
            FedStrategy("naive", "A forecast of zero: stays in cash, earns and pays nothing."),
            FedStrategy("buy_and_hold", "Long every symbol with equal weight, whatever is forecast.", rule="hold"),
        ),
        is_baseline=True,
    )
)


class VolatilityParameters(Parameters):
    """A volatility times empirical quantiles has no parameters."""


def _of_volatility(name: str, network: str, meaning: str) -> ModelCard:
    """Return the card of a forecaster that is a volatility and the empirical quantiles of what it was divided by."""
    return ModelCard(
        name=name,
        meaning=meaning,
        build=f"training.models.volatility:{network}",
        fit=AtOnce("training.models.volatility:fit_levels"),
        parameters=VolatilityParameters,
        space=(),
        outputs=OUTPUTS,
        strategies=(),
        is_baseline=True,
    )


register(_of_volatility("ewma", "EwmaForecaster", "The shape of past returns, as wide as their exponential mean says."))
register(_of_volatility("har", "HarForecaster", "The shape of past returns, as wide as a HAR regression expects."))
register(_of_volatility("garch", "GarchForecaster", "The shape of past returns, as wide as GJR-GARCH expects."))


class RidgeParameters(Parameters):
    """Parameters of the ridge regression."""

    penalty: float = Field(default=1000.0, ge=0, description="weight of the squared coefficients")


register(
    ModelCard(
        name="ridge",
        meaning="Linear in the last session's values and flags.",
        build="training.models.ridge:RidgeForecaster",
        fit=AtOnce("training.models.ridge:fit_ridge"),
        parameters=RidgeParameters,
        space=(),
        outputs=OUTPUTS,
        strategies=(FedStrategy("ridge", "Long and short by the linear model's median against its band."),),
    )
)


class LightGbmParameters(Parameters):
    """Parameters of the boosted trees, one ensemble per horizon and quantile."""

    rounds: int = Field(default=60, ge=1, description="trees per ensemble")
    leaves: int = Field(default=8, ge=2, description="leaves per tree at most")
    learning_rate: float = Field(default=0.05, gt=0, description="shrinkage per tree")
    rows_per_leaf: int = Field(default=200, ge=1, description="windows a leaf needs at least")


register(
    ModelCard(
        name="lightgbm",
        meaning="Boosted trees over the last session's values and flags.",
        build="training.models.trees:TreeEnsemble",
        fit=AtOnce("training.models.trees:fit_trees", is_seeded=True),
        parameters=LightGbmParameters,
        space=(),
        outputs=OUTPUTS,
        strategies=(FedStrategy("lightgbm", "Long and short by the boosted trees' median against its band."),),
        libraries=("lightgbm",),
    )
)

NETWORK_SPACE = (
    Choice("hidden", (16, 32, 64)),
    Range("dropout", 0.0, 0.4),
    Range("learning_rate", 3e-4, 1e-2, is_log=True),
    Range("weight_decay", 1e-5, 1e-1, is_log=True),
)
"""What is searched in both networks; step size and decay over orders of magnitude."""


class NetworkParameters(Parameters):
    """Parameters that both networks have."""

    hidden: int = Field(default=32, ge=1, description="width of the hidden state")
    dropout: float = Field(default=0.2, ge=0, lt=1, description="share of activations dropped in training")
    learning_rate: float = Field(default=1e-3, gt=0, description="step size of AdamW")
    weight_decay: float = Field(default=1e-3, ge=0, description="decay of AdamW")


class LstmParameters(NetworkParameters):
    """Parameters of the LSTM."""

    layers: int = Field(default=1, ge=1, le=4, description="stacked LSTM layers")


register(
    ModelCard(
        name="lstm",
        meaning="A recurrent network over the window.",
        build="training.models.lstm:LstmForecaster",
        fit=GradientDescent(),
        parameters=LstmParameters,
        space=NETWORK_SPACE,
        outputs=OUTPUTS,
        strategies=(FedStrategy("lstm", "Long and short by the LSTM's median against its band."),),
    )
)


class TftParameters(NetworkParameters):
    """Parameters of the Temporal Fusion Transformer."""

    heads: int = Field(default=2, ge=1, description="attention heads; must divide hidden")

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} cannot be shared out to {self.heads} heads")
        return self


register(
    ModelCard(
        name="tft",
        meaning="The Temporal Fusion Transformer.",
        build="training.models.tft:TemporalFusionTransformer",
        fit=GradientDescent(),
        parameters=TftParameters,
        space=NETWORK_SPACE,
        outputs=OUTPUTS,
        strategies=(FedStrategy("tft", "Long and short by the TFT's median against its band."),),
    )
)
