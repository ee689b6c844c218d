"""Delta tables and their only writer: `Lake` reads and writes, the other modules say how."""

from lake.store.delta import Lake

__all__ = ["Lake"]
