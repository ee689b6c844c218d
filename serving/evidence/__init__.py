"""Statistical evidence: posteriors and sequential bets."""
