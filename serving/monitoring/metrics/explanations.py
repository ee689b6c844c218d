"""Metrics of explanations, in numbers and in words."""

from serving.monitoring.metrics.declaring import JOBS, RESIDUES, WHOLE, counter, histogram

EXPLANATION_SECONDS = histogram(
    "quantlake_explanation_seconds",
    "Time of an explanation in numbers without its wait for a turn, until it is on disk; is_cached is true where it "
    "was computed before",
    "method",
    "depth",
    "is_cached",
    buckets=WHOLE,
)
EXPLANATION_ADDITIVITY_ERROR = histogram(
    "quantlake_explanation_additivity_error",
    "Largest distance of base value plus contributions from what was forecast, as a share of the price",
    buckets=RESIDUES,
)
NARRATIVE_SENTENCES = counter(
    "quantlake_narrative_sentences",
    "Sentences of written explanations, by writer and by what the checker said: passed, or the rule they failed",
    "writer",
    "verdict",
)
NARRATIVE_SECONDS = histogram(
    "quantlake_narrative_seconds", "Time of one writer for one explanation, its check included", "writer", buckets=JOBS
)
EXPLANATION_JOBS = counter(
    "quantlake_explanation_jobs",
    "Jobs of written explanations, by what came of them: accepted, reused, refused, completed, failed, cancelled",
    "state",
)
RETRIEVAL_SECONDS = histogram("quantlake_retrieval_seconds", "Time of one search for passages", buckets=WHOLE)
RETRIEVAL_FUTURE_HITS = counter(
    "quantlake_retrieval_future_hits",
    "Passages found that were not known yet at the time asked about; each is taken out, and none should be found",
)
