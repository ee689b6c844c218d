"""Keeps registry and deployment in line: follows an alias moved in the registry, sets the alias after moves here."""

import time
from typing import TYPE_CHECKING

from lake.clock import SystemClock
from lake.errors import QuantlakeError
from serving.deployment.candidates import require_candidate
from serving.deployment.moves import note, promote, put_on_trial, roll_back, write_down
from serving.deployment.record import Release, deployment_or_none, moving, write_deployment
from serving.deployment.refusals import ModelRefusal, keep_refusal, lift_refusal
from serving.deployment.registry import Registry, fetch, fetch_files, promotion_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serving.deployment.moves import DeploymentContext, Move
    from serving.deployment.record import Deployment, Mode


class RegistryFollower:
    """Brings the alias of the registry and the deployment in line, whichever of the two was moved.

    An alias that was moved is an order: its version is fetched, checked as a promotion checks it, and put in service;
    a version that fails is refused, and the alias left where it was put. An alias that stood still while the
    deployment moved (a roll-back) follows. Where both moved, the alias is the order.

    Parameters
    ----------
    context
        Where moves are written down.
    """

    RETRY_SECONDS = 30.0

    def __init__(self, context: "DeploymentContext") -> None:
        self._context, self._registry = context, Registry(context.configured)
        self._refused: dict[str, tuple[str, float]] = {}

    def look(self) -> list[str]:
        """Compare once; return what was done, in sentences.

        A model that cannot be brought in line keeps no other waiting.

        Raises
        ------
        Exception
            That of the first such model, once all were looked at.
        """
        sentences, failed = list[str](), list[Exception]()
        aliases = self._registry.aliases()
        deployment = deployment_or_none(self._context.configured)
        for model, version in sorted(aliases.items()):
            if not _is_in_line(deployment, model, version) and not self._was_refused(model, version):
                try:
                    with moving(self._context.configured):
                        sentences += self._bring_in_line(model)
                except Exception as error:  # noqa: BLE001 - it is raised below
                    failed.append(error)
        if failed:
            raise failed[0]
        return sentences

    def _bring_in_line(self, model: str) -> "Iterator[str]":
        """Bring one model in line; the caller holds the lock of moves."""
        configured = self._context.configured
        deployment, version = deployment_or_none(configured), self._registry.alias(model)
        champion = deployment.champions.get(model)
        if version is None or _is_in_line(deployment, model, version):
            return
        known = deployment.aliases.get(model, champion and champion.version)
        if champion is not None and champion.version == version:
            release = Release(version=version, digest=champion.digest or self._registry.tags(model, version)[0])
            write_deployment(configured, deployment.identified(model, release).in_line(model, version))
        elif champion is not None and version == known:
            self._registry.move(model, champion.version)
            write_deployment(configured, deployment.in_line(model, champion.version))
            yield f"the registry's alias of {model} follows to version {champion.version}"
        elif champion is not None or self._registry.is_ours(model, version):
            yield self._follow(deployment, model, version)

    def _follow(self, deployment: "Deployment", model: str, version: str) -> str:
        """Promote the version that the alias was moved to, or refuse it."""
        context, before = self._context, deployment.versions.get(model)
        try:
            release = fetch_files(self._registry, context.configured, model, version)
            bundle = require_candidate(context.configured, model, release).bundle
        except Exception as error:  # noqa: BLE001 - whatever its files make a library raise, it is refused for it
            return self._refuse(model, version, error)
        write_down(context, promotion_of(bundle, version, before, {}))
        write_deployment(context.configured, deployment.promoted(model, release).in_line(model, version))
        lift_refusal(context.configured, model)
        return f"version {version} of {model} is in service"

    def _refuse(self, model: str, version: str, error: Exception) -> str:
        """Note why a version is not put in service: beside the deployment, and once in the audit trail."""
        self._refused[model] = (version, time.monotonic())
        reason = str(error) if isinstance(error, QuantlakeError) else f"{type(error).__name__}: {error}"
        refusal = ModelRefusal(
            model=model, version=version, reason=reason, since=SystemClock().now(), refused_by="registry"
        )
        if keep_refusal(self._context.configured, refusal):
            note(self._context, "model.promote", "refused", {"model": model, "version": version, "reason": reason})
        return f"version {version} of {model} is refused: {reason}"

    def _was_refused(self, model: str, version: str) -> bool:
        tried, at = self._refused.get(model, ("", 0.0))
        return tried == version and time.monotonic() - at < self.RETRY_SECONDS


def promote_registered(context: "DeploymentContext", model: str, version: str) -> "Move":
    """Put a registered version in service and let the alias follow; see `fetch` and `moves.promote` for the errors."""
    fetch(context.configured, model, version)
    move = promote(context, model, version)
    RegistryFollower(context).look()
    return move


def try_registered(context: "DeploymentContext", model: str, version: str, mode: "Mode", share: float) -> "Move":
    """Put a registered version on trial; see `fetch` and `moves.put_on_trial` for the errors."""
    fetch(context.configured, model, version)
    return put_on_trial(context, model, version, mode, share)


def roll_back_and_follow(context: "DeploymentContext", model: str) -> "Move":
    """Take the last move of a model back and let the alias follow; see `moves.roll_back` for the errors."""
    move = roll_back(context, model)
    RegistryFollower(context).look()
    return move


def _is_in_line(deployment: "Deployment", model: str, version: str) -> bool:
    """Whether the alias, the champion and the note of where the alias stood all name the same version."""
    return deployment.versions.get(model) == version == deployment.aliases.get(model)
