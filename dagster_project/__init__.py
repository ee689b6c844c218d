"""Orchestration: assets, checks, partitions, schedules, sensors, and the `quantlake` command."""
