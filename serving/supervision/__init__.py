"""The endpoint's processes: a supervisor, its workers, and how each of them ends with the process that started it."""
