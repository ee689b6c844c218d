"""Overview of champions, challengers with their verdict, and refusals, as plain values for a command."""

from typing import TYPE_CHECKING, Any

from lake.errors import ModelError
from serving.deployment.record import read_deployment
from serving.deployment.refusals import read_refusals
from serving.deployment.releases import load_release
from serving.deployment.verdict import verdict_on

if TYPE_CHECKING:
    from serving.deployment.moves import DeploymentContext
    from serving.deployment.record import Challenger, Deployment

DIGITS = 12
"""Of a digest, as many as are shown."""


def describe_deployment(context: "DeploymentContext") -> dict[str, list[dict[str, Any]]]:
    """Describe the deployment.

    Returns
    -------
    dict
        ``champions``, ``challengers`` and ``refused``, each a list of plain values.

    Raises
    ------
    NotReadyError
        If nothing has been promoted yet.
    """
    deployment = read_deployment(context.configured)
    return {
        "champions": [_champion(context, deployment, name) for name in sorted(deployment.champions)],
        "challengers": [_challenger(context, challenger) for challenger in deployment.challengers],
        "refused": [
            {
                "model": refusal.model,
                "version": refusal.version,
                "since": f"{refusal.since:%Y-%m-%d %H:%M:%S}",
                "reason": refusal.reason,
            }
            for refusal in read_refusals(context.configured)
        ],
    }


def _champion(context: "DeploymentContext", deployment: "Deployment", name: str) -> dict[str, Any]:
    release = deployment.champions[name]
    try:
        bundle = load_release(context.configured, name, release)
        digest, until, state = bundle.digest, f"{bundle.signature.train_until:%Y-%m-%d}", "checked"
    except ModelError as error:
        digest, until, state = release.digest or "", "", str(error)
    return {
        "model": name,
        "version": release.version,
        "digest": digest[:DIGITS],
        "trained_until": until,
        "before": ", ".join(deployment.former.get(name, ())),
        "registry": deployment.aliases.get(name, ""),
        "files": state,
    }


def _challenger(context: "DeploymentContext", challenger: "Challenger") -> dict[str, Any]:
    verdict = verdict_on(context.lake, context.configured, context.clock, challenger)
    return {
        "model": challenger.model,
        "version": challenger.version,
        "digest": challenger.digest[:DIGITS],
        "mode": challenger.mode,
        "share": challenger.share,
        "since": f"{challenger.since:%Y-%m-%d %H:%M:%S}",
        "sessions": verdict.sessions,
        "excess_loss": round(verdict.excess, 4),
        "outside_band": round(verdict.outside, 4),
        "evidence_worse": round(verdict.worse, 3),
        "evidence_better": round(verdict.better, 3),
    }
