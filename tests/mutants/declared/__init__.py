"""The mutants that must not live, by topic, in the order in which data flows."""

from mutant import Mutant

from declared import access, features, feedback, forecasts, models, storage

MUTANTS: tuple[Mutant, ...] = (
    *storage.MUTANTS,
    *features.MUTANTS,
    *models.MUTANTS,
    *forecasts.MUTANTS,
    *feedback.MUTANTS,
    *access.MUTANTS,
)
