"""Preconditions of a command: a lake, an experiment."""

from typing import TYPE_CHECKING

from lake.errors import NotReadyError

if TYPE_CHECKING:
    from lake.settings import Settings


def require_lake(settings: "Settings") -> None:
    """Refuse to go on without tables.

    Raises
    ------
    NotReadyError
        Naming the folder that was looked in.
    """
    if not (settings.tables / "bars").exists():  # the audit trail may be there before any market
        command = settings.declared_market.first_run
        raise NotReadyError(f"There is no lake in {settings.home} yet. Run `{command}` first, or set QUANTLAKE_HOME.")


def require_home(settings: "Settings") -> None:
    """Refuse to look into a home that does not exist; nothing is made.

    Raises
    ------
    NotReadyError
        Naming the folder.
    """
    if not settings.home.is_dir():
        raise NotReadyError(
            f"There is no home {settings.home} yet. Run `{settings.declared_market.first_run}` first, or set "
            "QUANTLAKE_HOME."
        )


def require_experiment(settings: "Settings") -> None:
    """Refuse an experiment that there is none of at once, before anything is made.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    from training.experiments import load_experiment

    load_experiment(settings.experiment)
