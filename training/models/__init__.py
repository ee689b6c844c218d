"""Models: forecasters of one shape, each with a card. Nothing heavy is imported before one is built.

- `MODELS`, `card_of`, `BASELINE`: the cards by name, one of them, and the model that others are shown beside
- `ModelCard`: what a card holds. Its parts: `Parameters`; `Choice` and `Range`, each a `Dimension` of the search space;
  `GradientDescent`, `AtOnce` or `Unfitted`; `FedStrategy`
- `register`, `registered`: add a model, for good or for the time of a block
- `InputSpec`, `OutputSpec`, `FeatureScaler`: what a model is given, what it answers, and what scales its input
- `Variation`, `variation_of`, `variation_in_units`, `SMALLEST_DEVIATION`: how much forecasts vary beyond volatility
- `build_network`: a new module by name
- `base`, `attention`, `layers`: what a model's own file is made of (submodules: they import torch)
- `ridge`, `trees`: models fitted in one call (submodules: they import torch)
"""

from training.models.build import build_network
from training.models.card import (
    AtOnce,
    Choice,
    Dimension,
    FedStrategy,
    GradientDescent,
    ModelCard,
    Parameters,
    Range,
    Unfitted,
)
from training.models.registry import BASELINE, MODELS, card_of, register, registered
from training.models.scaler import FeatureScaler
from training.models.spec import InputSpec, OutputSpec
from training.models.variation import SMALLEST_DEVIATION, Variation, variation_in_units, variation_of

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "MODELS",
    "card_of",
    "BASELINE",
    "ModelCard",
    "Parameters",
    "Choice",
    "Range",
    "Dimension",
    "GradientDescent",
    "AtOnce",
    "Unfitted",
    "FedStrategy",
    "register",
    "registered",
    "InputSpec",
    "OutputSpec",
    "FeatureScaler",
    "Variation",
    "variation_of",
    "variation_in_units",
    "SMALLEST_DEVIATION",
    "build_network",
    "base",
    "attention",
    "layers",
    "ridge",
    "trees",
]
