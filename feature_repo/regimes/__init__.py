"""Market regimes at each close: by rule, and by hidden Markov models that are filtered forward.

`compute_regimes` gives the rows of the table `regimes` from bars, `regimes_of` from the bars of the index and the
`session_totals` of all. `RECIPE` identifies how they are computed.
"""

from feature_repo.regimes.daily import RECIPE, compute_regimes, regimes_of, session_totals

__all__ = ["RECIPE", "compute_regimes", "regimes_of", "session_totals"]
