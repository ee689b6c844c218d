"""What a feature is: a value with a name, an expression and everything a reader or a check needs to know about it."""

from dataclasses import dataclass

import polars as pl

from lake.errors import ConfigError
from lake.spec import Column


@dataclass(frozen=True)
class Feature:
    """One feature of one bar, declared once; the table, the Feast schema, the docs and the leak checks derive from it.

    Parameters
    ----------
    name, unit, formula, meaning
        As a reader of the docs would want them. `P` is the adjusted close, `V` the volume, `r` the one-bar return.
    expression
        Polars expression over the bars of **one** symbol in order of time; `compute_technical` evaluates it once per
        symbol. It may look back and never ahead.
    inputs
        Columns of the bar frame that the expression reads, as documented by `feature_repo.compute.COLUMNS`.
    lookback
        Bars needed for the first value, the bar itself included.
    null_rule
        When the value is null, beyond the bars before `lookback`.
    warm_up
        Bars after which a history cut off at its beginning gives the value of the full one to a relative 1e-9; by
        default `lookback`, and longer where a recursion remembers its start.
    minimum, maximum
        Inclusive bounds of a possible value.
    is_scale_free
        Whether the value says nothing about the level of the price, so that a model may see it.
    """

    name: str
    expression: pl.Expr
    inputs: tuple[str, ...]
    lookback: int
    unit: str
    formula: str
    meaning: str
    null_rule: str = "never after the first value"
    warm_up: int = 0
    minimum: float | None = None
    maximum: float | None = None
    is_scale_free: bool = True

    def __post_init__(self) -> None:
        """Refuse a declaration that contradicts its own expression."""
        read = set(self.expression.meta.root_names())
        if read != set(self.inputs):
            raise ConfigError(
                f"Feature '{self.name}' declares the inputs {sorted(self.inputs)} and its expression reads "
                f"{sorted(read)}. Name exactly the columns it reads."
            )
        if self.lookback < 1:
            raise ConfigError(f"Feature '{self.name}' declares a lookback of {self.lookback} bars; the smallest is 1.")
        object.__setattr__(self, "warm_up", max(self.warm_up, self.lookback))

    @property
    def column(self) -> Column:
        """The feature as a column of its table."""
        return Column(
            self.name,
            pl.Float64(),
            self.unit,
            f"{self.meaning}: {self.formula}",
            nullable=True,
            minimum=self.minimum,
            maximum=self.maximum,
        )
