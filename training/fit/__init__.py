"""Fitting: one model fitted, kept on disk, and its parameters searched. Importing it imports torch.

- `fit_model`, `refit`, `Fitted`: fit once, fit anew on the validation windows too, and what comes of it
- `fit_each_seed`, `fit_best`: both for every seed, as it is judged; and for the best seed, as it is served
- `save_fitted`, `load_fitted`: a folder of sizes in JSON and weights that hold no code
- `search_parameters`, `SearchResult`: look for parameters of a network with Optuna
- `threads`: how many threads torch computes with
"""

from training.fit.best import fit_best
from training.fit.fit import fit_each_seed, fit_model, refit, threads
from training.fit.fitted import Fitted, load_fitted, save_fitted
from training.fit.search import SearchResult, search_parameters

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "fit_model",
    "refit",
    "Fitted",
    "fit_each_seed",
    "fit_best",
    "save_fitted",
    "load_fitted",
    "search_parameters",
    "SearchResult",
    "threads",
]
