"""A forecast in words: facts, a writer, and a checker that lets nothing pass which is not a fact or a quotation.

- `inputs`, `drivers`, `facts`: what is known of a forecast, and the numbered facts that follow
- `retrieve`, `ranking`, `bm25`: passages of documents, as they were known then
- `write`, `model_writer`: the template, and a language model where one is configured
- `tokens`, `vocabulary`, `check`: the checker
- `narrate`: one explanation from these parts
- `documents`, `vectors`, `notes`: texts and their vectors as rows of tables, and the texts that are generated
- `asked`, `records`, `jobs`: jobs that write explanations, kept in the home
"""

from serving.explain.narrative.drivers import drivers_from
from serving.explain.narrative.facts import Driver, Drivers
from serving.explain.narrative.jobs import FIRST_TEXT_SECONDS, ExplanationJobs
from serving.explain.narrative.notes import update_notes
from serving.explain.narrative.records import JobQuestion, JobRecord
from serving.explain.narrative.retrieve import LEXICAL, Retriever
from serving.explain.narrative.vectors import lacking_vectors

__all__ = [
    "FIRST_TEXT_SECONDS",
    "LEXICAL",
    "Driver",
    "Drivers",
    "ExplanationJobs",
    "JobQuestion",
    "JobRecord",
    "Retriever",
    "drivers_from",
    "lacking_vectors",
    "update_notes",
]
