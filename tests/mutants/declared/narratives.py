"""Forecasts in words: nothing is said that is no cited fact, nothing is read that was not known."""

from mutant import Mutant

CHECK, JOBS = "tests/test_serving/test_narrative_check.py", "tests/test_serving/test_narrative_jobs.py"
RETRIEVAL = "tests/test_serving/test_narrative_retrieval.py"
MEANING, EMBEDDING = "tests/test_serving/test_narrative_meaning.py", "tests/test_serving/test_embedding.py"
MODEL = "tests/test_serving/test_narrative_model.py"
SIMILAR, DEEP = "tests/test_serving/test_similar_windows.py", "tests/test_serving/test_narrative_deep.py"
ALTERED = f"{CHECK}::test_of_a_hundred_altered_sentences_none_passes"

MUTANTS = (
    Mutant(
        "narrative-numbers-unchecked",
        "A number in a sentence is the printed value of a cited fact.",
        "serving/explain/narrative/check.py",
        '    ("number", _has_uncited_number),\n',
        "",
        (ALTERED,),
    ),
    Mutant(
        "narrative-signs-unchecked",
        "A word of direction agrees with the sign of every cited fact.",
        "serving/explain/narrative/check.py",
        '    ("direction", _contradicts_sign),\n',
        "",
        (ALTERED,),
    ),
    Mutant(
        "narrative-values-change-places",
        "A value belongs to the subject that is named last before it.",
        "serving/explain/narrative/check.py",
        "any(fact.subject == named or",
        "any(True or",
        (f"{CHECK}::test_values_of_two_subjects_cannot_change_places",),
    ),
    Mutant(
        "narrative-quotes-unchecked",
        "What a sentence quotes stands in a cited passage.",
        "serving/explain/narrative/check.py",
        '    ("quote", _misquotes),\n',
        "",
        (ALTERED, f"{CHECK}::test_a_document_that_is_not_ours_brings_in_no_number"),
    ),
    Mutant(
        "narrative-words-unchecked",
        "A sentence uses no word outside the list of the checker.",
        "serving/explain/narrative/check.py",
        '    ("word", _has_unknown_word),\n',
        "",
        (f"{CHECK}::test_what_is_no_cited_fact_is_dropped",),
    ),
    Mutant(
        "narrative-retrieval-knows-the-future",
        "A passage that was not known at the time asked about is never found.",
        "serving/explain/narrative/retrieve.py",
        "known = _known(self._lake, symbol, as_of)",
        "known = _known(self._lake, symbol, as_of.replace(year=9999))",
        (
            f"{RETRIEVAL}::test_what_was_not_known_yet_is_not_found",
            f"{MEANING}::test_what_was_not_known_yet_is_not_found_by_meaning",
        ),
    ),
    Mutant(
        "narrative-future-hits-returned",
        "A passage that passed the search although it was not known yet is counted, and not returned.",
        "serving/explain/narrative/retrieve.py",
        'for score, row in best if row["known_time"] <= as_of]',
        "for score, row in best]",
        (f"{RETRIEVAL}::test_a_future_hit_is_counted_and_not_returned",),
    ),
    Mutant(
        "narrative-vectors-of-another-embedder",
        "A vector of another embedder is never compared.",
        "serving/explain/narrative/vectors.py",
        'known = lake.read_as_of(CHUNK_VECTORS, as_of, where=pl.col("embedder_digest") == embedder_digest)',
        'known = lake.read_as_of(CHUNK_VECTORS, as_of).unique(FORM, keep="last")',
        (f"{MEANING}::test_a_vector_of_another_embedder_is_never_compared",),
    ),
    Mutant(
        "embedder-files-unchecked",
        "A packaged file of the embedder that is not the one that was measured is refused.",
        "serving/embedding/files.py",
        "if pinned not in {None, digest}:",
        "if False:",
        (f"{EMBEDDING}::test_a_packaged_file_that_was_altered_is_refused",),
    ),
    Mutant(
        "narrative-dropped-text-shown",
        "The text of a dropped sentence goes no further than the checker.",
        "serving/explain/narrative/narrate.py",
        "meaning=MEANINGS[dropped.reason])",
        "meaning=dropped.draft.text)",
        (f"{JOBS}::test_the_template_answers_first_and_the_model_replaces_it",),
    ),
    Mutant(
        "narrative-lost-job-under-way-for-ever",
        "A job whose process has ended fails and says why.",
        "serving/explain/narrative/records.py",
        'if self.status != "processing" or self.worker.is_running:',
        "if True:",
        (f"{JOBS}::test_a_job_that_was_lost_with_its_process_says_so",),
    ),
    Mutant(
        "narrative-key-in-the-clear",
        "The key of a language model is not sent over plain http to another machine.",
        "serving/explain/narrative/model_writer.py",
        'if key and parts.scheme == "http" and parts.hostname not in LOCAL:',
        "if False:",
        (f"{MODEL}::test_settings_that_cannot_be_used_are_refused",),
    ),
    Mutant(
        "similar-windows-from-the-future",
        "What followed a similar past window counts only if it was known when the forecast was made.",
        "serving/explain/similar.py",
        "followed = lake.read_as_of(LABELS, known, where=is_past",
        "followed = lake.read(LABELS, where=is_past",
        (f"{SIMILAR}::test_an_outcome_that_came_late_counts_from_when_it_was_known",),
    ),
    Mutant(
        "similar-windows-tell-a-move-twice",
        "No horizon of two similar past windows overlaps.",
        "serving/explain/similar.py",
        "if all(ends[place] <= starts[other] or ends[other] <= starts[place] for other in chosen):",
        "if place not in chosen:",
        (f"{SIMILAR}::test_of_two_windows_whose_horizons_overlap_the_nearer_one_is_told",),
    ),
    Mutant(
        "similar-windows-change-places",
        "What followed one similar past window is never told of another.",
        "serving/explain/narrative/facts.py",
        'yield _return("similar", f"return after window {letter}", window.outcome)',
        'yield _return("similar", "return after window B", window.outcome)',
        (f"{CHECK}::test_what_followed_one_similar_window_is_never_told_of_another",),
    ),
    Mutant(
        "unfaithful-line-passes-for-faithful",
        "A straight line whose fidelity is too low is said to be not faithful.",
        "serving/explain/narrative/deep.py",
        "return self.r2 >= self.least",
        "return True",
        (f"{DEEP}::test_a_part_that_cannot_be_computed_is_left_out_and_the_reason_is_said",),
    ),
    Mutant(
        "deep-part-left-out-unsaid",
        "A part of a deep explanation that could not be computed is named, with the reason.",
        "serving/explain/narrative/jobs.py",
        "                job.leave_out(part, str(error))",
        "                del error",
        (f"{DEEP}::test_a_part_that_cannot_be_computed_is_left_out_and_the_reason_is_said",),
    ),
    Mutant(
        "deep-explanations-hold-up-others",
        "A deep explanation under way holds up no other first text.",
        "serving/explain/narrative/jobs.py",
        "                self._deep_queue.put(deep)",
        "                job.attempt(partial(self._deepen, deep))",
        (f"{DEEP}::test_a_deep_explanation_holds_up_no_other_and_ends_as_cancelled",),
    ),
)
