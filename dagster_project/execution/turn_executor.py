"""Executor of runs that Dagster starts: one run at a time computes in a home, as for commands."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from lake.disk import job_lock
from lake.settings import settings


class _TurnTaking(dg.Executor):
    """Executes a whole run while it holds the home, with the executor it wraps."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        return self._inner.retries

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        with job_lock(settings().home, f"run {plan_context.job_name}", plan_context.log.info):
            yield from self._inner.execute(plan_context, execution_plan)


def _make(context: dg.InitExecutorContext) -> dg.Executor:
    make = dg.in_process_executor.executor_creation_fn
    assert make is not None
    return _TurnTaking(make(context))


turn_taking_executor = dg.ExecutorDefinition(
    name="one_process_in_its_turn",
    config_schema=dg.in_process_executor.config_schema.as_field(),
    executor_creation_fn=_make,
    description="One process, because one for each step would pay the slow imports each time; waits for its turn.",
)
