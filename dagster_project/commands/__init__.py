"""Verbs of the `quantlake` command that need more than a line, one file per topic."""
