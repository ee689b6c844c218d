"""The online store: packed values in Redis, their snapshot, verification and repair."""
