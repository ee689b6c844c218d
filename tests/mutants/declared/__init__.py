"""The mutants that must not live, by topic, in the order in which data flows."""

from mutant import Mutant

from declared import feedback, forecasts, storage

MUTANTS: tuple[Mutant, ...] = (*storage.MUTANTS, *forecasts.MUTANTS, *feedback.MUTANTS)
