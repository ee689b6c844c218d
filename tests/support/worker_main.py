"""Stands for the file that a worker of the tests was started with; a process that is spawned from one runs it."""
