"""Execution of a run, and its display.

`turn_taking_executor`: one process for all steps, one run at a time in a home. `progress_logger` shows a run on the
terminal. `stage_logger` and `listening` time the stages of a run.
"""

from dagster_project.execution.progress import progress_logger
from dagster_project.execution.stages import Stage, listening, stage_logger
from dagster_project.execution.turn_executor import turn_taking_executor

__all__ = ["Stage", "listening", "progress_logger", "stage_logger", "turn_taking_executor"]
