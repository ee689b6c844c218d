"""A process that asks for an explanation and works on it until it is killed; prints the job's id."""

import sys
import threading

from lake.settings import settings
from lake.store import Lake
from serving.explain.narrative import ExplanationJobs, JobQuestion

configured = settings()
jobs = ExplanationJobs(configured, Lake(configured.tables))
record, _ = jobs.ask(JobQuestion(symbol=sys.argv[1], prediction_id=sys.argv[2], depth="medium"))
sys.stdout.write(f"{record.job_id}\n")
sys.stdout.flush()
threading.Event().wait()
