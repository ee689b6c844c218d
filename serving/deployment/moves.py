"""Moves of a deployment: recorded, audited, then put in force. Independent of the registry.

The registry's alias follows a move made here: `serving.deployment.following` brings it in line.
"""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.clock import SystemClock
from lake.errors import NotReadyError, UnknownNameError
from lake.tables import PROMOTIONS
from serving import audit
from serving.deployment.candidates import require_candidate
from serving.deployment.record import Challenger, Release, moving, read_deployment, write_deployment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake
    from serving.deployment.record import Deployment, Mode

CHAMPION = "champion"


@dataclass(frozen=True, kw_only=True)
class Move:
    """One move of an alias: what it points at now, and what it did before."""

    model: str
    alias: str
    version: str
    digest: str
    previous: str | None
    what: str
    evidence: "Mapping[str, Any]" = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DeploymentContext:
    """Context of a move of a model: tables, settings, clock, and actor."""

    lake: "Lake"
    configured: "Settings"
    clock: "Clock"
    who: str


def promote(context: DeploymentContext, model: str, version: str) -> Move:
    """Put a placed version in service.

    Raises
    ------
    UnknownNameError
        If that version was never placed here.
    RefusedModelError
        If it does not pass the checks of a candidate.
    NotReadyError
        If it is in service already.
    """
    with moving(context.configured):
        deployment = read_deployment(context.configured)
        release = deployment.release(model, version)
        before = deployment.versions.get(model)
        if before == version:
            raise NotReadyError(f"Version {version} of '{model}' is in service already; there is nothing to promote.")
        move = _champion(context, model, release, before, "model.promote")
        _put_in_force(context, move, deployment.promoted(model, release))
    return move


def roll_back(
    context: DeploymentContext, model: str, *, only: str | None = None, evidence: "Mapping[str, Any] | None" = None
) -> Move:
    """Take the last move of a model back: end its trial if one runs, else put the champion before in service again.

    Parameters
    ----------
    only
        Version on trial that is meant; nothing is done when another one is, or none.

    Raises
    ------
    NotReadyError
        If nothing runs on trial and no champion came before.
    UnknownNameError
        If there is no such model in service.
    RefusedModelError
        If the champion before does not pass the checks of a candidate any more.
    """
    with moving(context.configured):
        deployment = read_deployment(context.configured)
        challenger, champion = deployment.challenger_of(model), deployment.champions.get(model)
        if only is not None and (challenger is None or challenger.version != only):
            raise NotReadyError(f"Version {only} of '{model}' is not on trial any more; nothing is taken back.")
        if challenger is not None:
            move = _end_of_trial(challenger, champion, "model.rollback", evidence or {})
            _put_in_force(context, move, deployment.without_trial(model))
            return move
        if champion is None:
            raise UnknownNameError("model", model, deployment.champions)
        release = former_release(context, deployment, model)
        move = _champion(context, model, release, champion.version, "model.rollback", evidence or {})
        _put_in_force(context, move, deployment.rolled_back(model, release))
    return move


def put_on_trial(context: DeploymentContext, model: str, version: str, mode: "Mode", share: float) -> Move:
    """Put a placed version on trial for a share of the symbols, as a shadow or a canary.

    Raises
    ------
    UnknownNameError
        If that version was never placed here.
    NotReadyError
        If the version is the champion itself, or no champion of that name is in service.
    RefusedModelError
        If it does not pass the checks of a candidate.
    """
    with moving(context.configured):
        deployment = read_deployment(context.configured)
        release = deployment.release(model, version)
        champion = deployment.versions.get(model)
        if champion in {None, version}:
            raise NotReadyError(
                f"Version {version} of '{model}' cannot be on trial: the champion is {champion or 'none'}. Put another "
                "version on trial."
            )
        digest = require_candidate(context.configured, model, release).bundle.digest
        challenger = Challenger(
            model=model, version=version, digest=digest, mode=mode, share=share, since=SystemClock().now()
        )
        before = deployment.challenger_of(model)
        move = Move(
            model=model,
            alias=mode,
            version=version,
            digest=digest,
            previous=before.version if before else None,
            what=f"model.{mode}",
            evidence={"share": share},
        )
        _put_in_force(context, move, deployment.on_trial(challenger))
    return move


def former_release(context: DeploymentContext, deployment: "Deployment", model: str) -> Release:
    """Return the champion before the one in service, as the deployment or else the table `promotions` remembers it.

    Raises
    ------
    NotReadyError
        If there is none.
    """
    former, current = deployment.former.get(model), deployment.versions.get(model)
    if former and former[-1] in deployment.registered.get(model, {}):
        return deployment.release(model, former[-1])
    if former != () and context.lake.exists(PROMOTIONS):
        of_model = (pl.col("model_name") == model) & (pl.col("alias") == CHAMPION)
        moves = context.lake.read(PROMOTIONS, where=of_model).sort("event_time")
        into: list[str | None] = moves.filter(pl.col("model_version") == current)["previous_version"].to_list()
        digests = dict(moves.select("model_version", "model_digest").iter_rows())
        before = former[-1] if former else into[-1] if into else None
        if before is not None and before in digests and before != current:
            return Release(version=before, digest=digests[before])
    raise NotReadyError(
        f"'{model}' cannot be rolled back: no champion came before version {current or 'none'}. Promote another "
        "version instead."
    )


def write_down(context: DeploymentContext, move: Move) -> None:
    """Add a move to the table `promotions` and to the audit trail."""
    context.lake.merge(PROMOTIONS, promotion_row(context, move))
    note(context, move.what, "done", {"model": move.model, "version": move.version, "previous": move.previous})


def note(context: DeploymentContext, what: str, result: str, details: "Mapping[str, Any]") -> None:
    """Record a move of a model, or its refusal, in the audit trail."""
    audit.record(context.lake, who=context.who, what=what, result=result, details=details)


def promotion_row(context: DeploymentContext, move: Move) -> pl.DataFrame:
    """One row of the table `promotions`."""
    evidence = {"decided_by": context.who, "what": move.what, **move.evidence}
    return pl.DataFrame(
        {
            "model_name": [move.model],
            "alias": [move.alias],
            "event_time": [SystemClock().now()],
            "known_time": [context.clock.now()],
            "model_version": [move.version],
            "model_digest": [move.digest],
            "previous_version": [move.previous],
            "evidence": [json.dumps(evidence, sort_keys=True, default=str)],
        },
        schema=PROMOTIONS.schema,
    )


def _champion(
    context: DeploymentContext,
    model: str,
    release: Release,
    before: str | None,
    what: str,
    evidence: "Mapping[str, Any] | None" = None,
) -> Move:
    """Check the version that is to be champion, and describe the move."""
    digest = require_candidate(context.configured, model, release).bundle.digest
    return Move(
        model=model,
        alias=CHAMPION,
        version=release.version,
        digest=digest,
        previous=before,
        what=what,
        evidence=evidence or {},
    )


def _end_of_trial(challenger: Challenger, champion: Release | None, what: str, evidence: "Mapping[str, Any]") -> Move:
    """Describe how the share of a challenger goes back to the champion."""
    back = champion or challenger.release
    return Move(
        model=challenger.model,
        alias=challenger.mode,
        version=back.version,
        digest=back.digest or challenger.digest,
        previous=challenger.version,
        what=what,
        evidence=evidence,
    )


def _put_in_force(context: DeploymentContext, move: Move, deployment: "Deployment") -> None:
    write_down(context, move)
    write_deployment(context.configured, deployment)
