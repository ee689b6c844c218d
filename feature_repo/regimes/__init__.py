"""Market regimes at each close, by rule and by hidden Markov models."""
