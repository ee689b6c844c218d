"""A forecast in words: facts, a writer, and a checker that lets nothing pass which is not a fact or a quotation.

- `inputs`, `drivers`, `deep`, `facts`: what is known of a forecast, and the numbered facts that follow
- `retrieve`, `ranking`, `bm25`: passages of documents, as they were known then
- `write`, `model_writer`: the template, and a language model where one is configured
- `tokens`, `vocabulary`, `check`: the checker
- `narrate`: one explanation from these parts
- `documents`, `vectors`, `notes`: texts and their vectors as rows of tables, and the texts that are generated
- `asked`, `records`, `under_way`, `jobs`: jobs that write explanations, kept in the home
"""

from serving.explain.narrative.deep import (
    CLOSE_CHANGES,
    DEEP_PARTS,
    DeepFindings,
    DeepPart,
    line_findings,
    scenario_findings,
    similar_findings,
    stability_findings,
)
from serving.explain.narrative.drivers import Driver, Drivers, drivers_from
from serving.explain.narrative.jobs import FIRST_TEXT_SECONDS, ExplanationJobs
from serving.explain.narrative.notes import update_notes
from serving.explain.narrative.records import JobQuestion, JobRecord
from serving.explain.narrative.retrieve import LEXICAL, Retriever
from serving.explain.narrative.vectors import lacking_vectors

__all__ = [
    "CLOSE_CHANGES",
    "DEEP_PARTS",
    "FIRST_TEXT_SECONDS",
    "LEXICAL",
    "DeepFindings",
    "DeepPart",
    "Driver",
    "Drivers",
    "ExplanationJobs",
    "JobQuestion",
    "JobRecord",
    "Retriever",
    "drivers_from",
    "lacking_vectors",
    "line_findings",
    "scenario_findings",
    "similar_findings",
    "stability_findings",
    "update_notes",
]
