"""Raw rows to clean tables: pure functions."""
