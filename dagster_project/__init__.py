"""When things run: assets, checks, partitions, schedules, sensors, and the verbs of the command."""
