"""What a deployment may say, and how it finds its way back."""

from datetime import UTC, datetime

import pytest

from serving.deployment.record import Challenger, Deployment, Release


@pytest.mark.parametrize(
    "challengers",
    [
        [("lstm", "shadow"), ("lstm", "canary")],
        [("lstm", "canary"), ("ridge", "canary")],
    ],
)
def test_a_deployment_that_makes_no_sense_cannot_be_written(challengers):
    since = datetime(2012, 12, 31, tzinfo=UTC)
    made = [
        Challenger(model=model, version="2", digest="0" * 64, mode=mode, share=0.5, since=since)
        for model, mode in challengers
    ]
    with pytest.raises(ValueError, match=r"two challengers|two canaries"):
        Deployment(challengers=tuple(made))


def test_a_version_is_never_its_own_way_back():
    deployment = Deployment()
    for version in ("1", "2", "3", "1", "3"):
        deployment = deployment.promoted("lstm", Release(version=version, digest=version * 64))
    assert (deployment.versions["lstm"], deployment.former["lstm"]) == ("3", ("2", "1"))
