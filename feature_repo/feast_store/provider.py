"""Feast's provider, which materialises nothing later than the market's now."""

from datetime import datetime
from typing import Any

from feast.feature_view import FeatureView
from feast.infra.passthrough_provider import PassthroughProvider
from feast.repo_config import RepoConfig

from feature_repo.feast_store.command_line import told_in_a_sentence
from feature_repo.feast_store.locations import home_of_store
from lake.clock import require_utc
from lake.errors import LookAheadError
from lake.market import open_clock


class MarketProvider(PassthroughProvider):
    """Feast's own provider, but that it refuses an end which the market has not come to.

    Feast records the end of each `materialize` and `materialize-incremental` and loads what is later the next time.
    An end that is still to come would be recorded too, and the sessions up to it would count as loaded before they
    happened. The refusal comes before a row is written and before the end is recorded.
    """

    def materialize_single_feature_view(
        self,
        config: RepoConfig,
        feature_view: FeatureView,
        start_date: datetime,
        end_date: datetime,
        *args: Any,
        **kw: Any,
    ) -> None:
        """Materialise one view as Feast does, up to an end that the market has come to.

        Raises
        ------
        LookAheadError
            Naming the end, the market's now and the command that loads everything up to it; under the `feast` command
            as a sentence without a traceback.
        """
        with told_in_a_sentence():
            _require_past(config, feature_view.name, end_date)
            super().materialize_single_feature_view(config, feature_view, start_date, end_date, *args, **kw)


def _require_past(config: RepoConfig, view: str, end: datetime) -> None:
    """Refuse an end later than the market's now."""
    now = open_clock(home_of_store(config)).now()
    if require_utc(end) > now:
        raise LookAheadError(
            f"The view '{view}' was to be materialised up to {end:%Y-%m-%dT%H:%M:%S%z}, and the market stands at "
            f"{now:%Y-%m-%dT%H:%M:%S%z}: Feast would record sessions as loaded that have not happened, and leave them "
            "out for good. Nothing was written or recorded. Run `feast materialize-incremental "
            f"{now:%Y-%m-%dT%H:%M:%S}`; a time without a zone is UTC."
        )
