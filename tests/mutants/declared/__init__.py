"""The mutants that must not live, by topic, in the order in which data flows."""

from mutant import Mutant

from declared import (
    access,
    checks,
    doors,
    drained,
    features,
    feedback,
    feeds,
    files,
    forecasts,
    homes,
    leaks,
    models,
    online,
    packaged,
    pages,
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
    *feeds.MUTANTS,
    *packaged.MUTANTS,
    *prices.MUTANTS,
    *checks.MUTANTS,
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
    *pages.MUTANTS,
)
