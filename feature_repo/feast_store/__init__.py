"""Feast over the lake: offline and online store, registry, views, services."""
