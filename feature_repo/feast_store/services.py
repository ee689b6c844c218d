"""Feature services: one per model signature for a request, one for the training of that signature, one per group."""

from feast import FeatureService

from feature_repo.catalog import GROUPS
from feature_repo.feast_store.views import blend, calibration, features, regime, strategy, window
from feature_repo.targets import FORECAST_V2

TRAINING = "_training"

forecast_v2 = FeatureService(
    name=FORECAST_V2.name,
    features=[
        window[["window", "reference_price", "price_basis", "currency", "feature_hash", "table_versions"]],
        regime[["regime"]],
        strategy[["selected_strategy", "strategies", "weights", "confidence"]],
        blend[["model_horizons", "models", "model_weights"]],
        calibration[["regimes", "horizons", "lower", "upper", "trust", "sessions"]],
    ],
    description="What one forecast request reads: model input, regime, and strategy, weights and calibration in force",
)
forecast_v2_training = FeatureService(
    name=FORECAST_V2.name + TRAINING,
    features=[features["technical"][list(FORECAST_V2.features)]],
    description="What models of this signature are trained on, session by session",
)
groups_training = tuple(
    FeatureService(
        name=group.name + TRAINING,
        features=[features[group.name][[feature.name for feature in group]]],
        description=f"Every feature of the group '{group.name}', session by session",
    )
    for group in GROUPS
)

SERVICES = (forecast_v2, forecast_v2_training, *groups_training)
