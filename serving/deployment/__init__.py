"""Deployment: champions, challengers and their changes, in one small file that every process reads.

- `record`, `releases`: what ``serving.json`` says, and the bundles and engines that it names
- `candidates`, `champions`: every check that a version has to pass, and the set in service, exchanged while it runs
- `moves`, `shares`, `verdict`, `refusals`, `overview`: promote, put on trial, roll back, judge, and show
- `confirmed`: what the registry said last, while its file is the same
- `registry`, `following`, `restoring`, `registry_watch`: the model registry and the service in line (need MLflow)
- `sample_models`: small models for a generated market (needs torch)
"""

from serving.deployment.champions import Champions, LoadedChallenger, LoadedModels
from serving.deployment.moves import DeploymentContext, Move, put_on_trial, roll_back
from serving.deployment.overview import describe_deployment
from serving.deployment.record import SERVING_FILE, Mode, deployment_or_none, moving, read_deployment, serving_file
from serving.deployment.refusals import ModelRefusal, read_refusals
from serving.deployment.releases import load_champions, load_engines
from serving.deployment.shares import is_within
from serving.deployment.verdict import SessionPair, judge_challenger, roll_back_canary

__all__ = [
    "SERVING_FILE",
    "Champions",
    "DeploymentContext",
    "LoadedChallenger",
    "LoadedModels",
    "Mode",
    "ModelRefusal",
    "Move",
    "SessionPair",
    "deployment_or_none",
    "describe_deployment",
    "following",
    "is_within",
    "judge_challenger",
    "load_champions",
    "load_engines",
    "moving",
    "put_on_trial",
    "read_deployment",
    "read_refusals",
    "registry",
    "registry_watch",
    "restoring",
    "roll_back",
    "roll_back_canary",
    "sample_models",
    "serving_file",
]
