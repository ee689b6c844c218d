"""The mutants that must not live, by topic, in the order in which data flows."""

from mutant import Mutant

from declared import (
    access,
    doors,
    drained,
    features,
    feedback,
    files,
    forecasts,
    homes,
    leaks,
    models,
    online,
    packaged,
    prices,
    sessions,
    sources,
    storage,
    terminal,
)

MUTANTS: tuple[Mutant, ...] = (
    *files.MUTANTS,
    *storage.MUTANTS,
    *sources.MUTANTS,
    *packaged.MUTANTS,
    *prices.MUTANTS,
    *features.MUTANTS,
    *leaks.MUTANTS,
    *online.MUTANTS,
    *models.MUTANTS,
    *forecasts.MUTANTS,
    *drained.MUTANTS,
    *feedback.MUTANTS,
    *sessions.MUTANTS,
    *access.MUTANTS,
    *doors.MUTANTS,
    *homes.MUTANTS,
    *terminal.MUTANTS,
)
