"""Feature tables brought up to date: only what changed is computed again."""
