"""The record ``serving.json``: champions, challengers, and the earlier versions that a roll-back needs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from lake.disk import file_lock, write_durably
from lake.errors import ModelError, NotReadyError, UnknownNameError
from serving.engines import Sha256

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from lake.settings import Settings

SERVING_FILE = "serving.json"
LOCK_FILE = ".promotion.lock"
KEPT_FORMER = 20

Mode = Literal["shadow", "canary"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=64)]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$", max_length=32, description="registered version")]
Share = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, description="share of the symbols")]


class Release(BaseModel):
    """One version of a model.

    Parameters
    ----------
    version
        Registered version; its files lie in the folder of that name.
    digest
        SHA-256 of the ONNX file as the registry has it; None where an older release of this project did not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Version
    digest: Sha256 | None = None


class Challenger(BaseModel):
    """A version on trial in the place of the champion of the same name.

    Parameters
    ----------
    model, version, digest
        What is on trial.
    mode
        ``shadow``: its forecasts are logged and never answered. ``canary``: it answers for its symbols, and what the
        champion would have said is logged.
    share
        Share of the symbols it sees; see `serving.deployment.shares`.
    since
        Wall-clock time from which it has been on trial in this mode.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Name
    version: Version
    digest: Sha256
    mode: Mode
    share: Share
    since: AwareDatetime

    @property
    def release(self) -> Release:
        """Version and digest."""
        return Release(version=self.version, digest=self.digest)


class Deployment(BaseModel):
    """Everything that decides which model answers.

    Parameters
    ----------
    champions
        The version in service of each model.
    challengers
        At most one for each model, and at most one canary among them, so that a pair of errors has one cause.
    registered
        Digest of each version whose files were placed here, as the registry gave it.
    former
        Versions that were champion before, the latest last: where a roll-back leads.
    aliases
        Where the registry's alias stood when it was last brought in line, so that a move by hand is told from a
        roll-back that the registry has not heard of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    champions: dict[Name, Release] = Field(default_factory=dict)
    challengers: tuple[Challenger, ...] = ()
    registered: dict[Name, dict[Version, Sha256]] = Field(default_factory=dict)
    former: dict[Name, tuple[Version, ...]] = Field(default_factory=dict)
    aliases: dict[Name, Version] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_sane(self) -> "Self":
        models = [challenger.model for challenger in self.challengers]
        if len(set(models)) < len(models):
            raise ValueError("a model has two challengers")
        if len([challenger for challenger in self.challengers if challenger.mode == "canary"]) > 1:
            raise ValueError("two canaries at a time")
        return self

    @property
    def versions(self) -> dict[str, str]:
        """Version in service of each model, by name."""
        return {name: release.version for name, release in sorted(self.champions.items())}

    def challenger_of(self, model: str) -> Challenger | None:
        """Return the challenger of a model, if there is one."""
        return next((challenger for challenger in self.challengers if challenger.model == model), None)

    def release(self, model: str, version: str) -> Release:
        """Return a version whose digest is known.

        Raises
        ------
        UnknownNameError
            If the model, or that version of it, was never placed here.
        """
        if model not in self.registered:
            raise UnknownNameError("model", model, self.registered)
        known = self.registered[model]
        if version not in known:
            raise UnknownNameError("model version", f"{model} {version}", [f"{model} {placed}" for placed in known])
        return Release(version=version, digest=known[version])

    def knowing(self, model: str, release: Release) -> "Deployment":
        """Return this with the digest of a placed version noted."""
        if release.digest is None:
            return self
        known = self.registered.get(model, {}) | {release.version: release.digest}
        return self.model_copy(update={"registered": self.registered | {model: known}})

    def promoted(self, model: str, release: Release) -> "Deployment":
        """Return this with a version in service, the one before remembered, and no trial of that same version."""
        before = self.champions.get(model)
        former = [version for version in self.former.get(model, ()) if version != release.version]
        if before is not None and before.version != release.version:
            former = [*(version for version in former if version != before.version), before.version]
        kept = tuple(c for c in self.challengers if (c.model, c.version) != (model, release.version))
        return self.knowing(model, release).model_copy(
            update={
                "champions": self.champions | {model: release},
                "former": self.former | {model: tuple(former[-KEPT_FORMER:])},
                "challengers": kept,
            }
        )

    def rolled_back(self, model: str, release: Release) -> "Deployment":
        """Return this with an earlier version in service again, forgotten among the former ones with all after it."""
        former = self.former.get(model, ())
        left = former[: former.index(release.version)] if release.version in former else ()
        return self.model_copy(
            update={"champions": self.champions | {model: release}, "former": self.former | {model: left}}
        )

    def on_trial(self, challenger: Challenger) -> "Deployment":
        """Return this with a challenger in place of any other of the same model, and of any other canary."""
        others = tuple(
            other
            for other in self.challengers
            if other.model != challenger.model and not other.mode == challenger.mode == "canary"
        )
        return self.model_copy(update={"challengers": (*others, challenger)})

    def without_trial(self, model: str) -> "Deployment":
        """Return this without the challenger of a model."""
        return self.model_copy(update={"challengers": tuple(c for c in self.challengers if c.model != model)})

    def in_line(self, model: str, version: str) -> "Deployment":
        """Return this with the registry's alias noted where it stands now."""
        return self.model_copy(update={"aliases": self.aliases | {model: version}})

    def identified(self, model: str, release: Release) -> "Deployment":
        """Return this with the digest of the champion as the registry has it."""
        return self.knowing(model, release).model_copy(update={"champions": self.champions | {model: release}})


def serving_file(configured: "Settings") -> "Path":
    """File that says which models are in service."""
    return configured.models / SERVING_FILE


def read_deployment(configured: "Settings") -> Deployment:
    """Parse the deployment; the form of older releases, a version for each name, is accepted.

    Raises
    ------
    NotReadyError
        If nothing has been promoted yet.
    ModelError
        If the file cannot be read.
    """
    path = serving_file(configured)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotReadyError(
            f"No model is in service: {path} does not exist. Train and promote with "
            f"`{configured.declared_market.first_run}`."
        ) from error
    except ValueError as error:
        raise ModelError(
            f"{path} cannot be read: {error}. `quantlake models restore` writes it anew from the registry."
        ) from error
    if isinstance(content, dict) and all(isinstance(version, str) for version in content.values()):
        content = {"champions": {name: {"version": version} for name, version in content.items()}}
    try:
        return Deployment.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors()[0]
        raise ModelError(
            f"{path} does not say which models are in service: {'.'.join(map(str, first['loc'])) or 'file'}: "
            f"{first['msg']}. `quantlake models restore` writes it anew from the registry."
        ) from error


def deployment_or_none(configured: "Settings") -> Deployment:
    """Read the deployment; None when nothing has been promoted yet."""
    try:
        return read_deployment(configured)
    except NotReadyError:
        return Deployment()


def write_deployment(configured: "Settings", deployment: Deployment) -> None:
    """Put a deployment in force: every running service takes it up within a second."""
    write_durably(serving_file(configured), deployment.model_dump_json(indent=2) + "\n")


@contextmanager
def moving(configured: "Settings") -> Iterator[None]:
    """Lock the deployment: reading, checking and writing it is one step for other processes."""
    with file_lock(configured.models / LOCK_FILE, "The deployment of the models"):
        yield
