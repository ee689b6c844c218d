"""Storage of market data: tables with event time and known time."""
