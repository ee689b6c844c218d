"""Feature services: one per model signature for a request, and one for the training of that signature."""

from feast import FeatureService

from feature_repo.views import regime, strategy, technical, window
from feature_repo.windows import FORECAST_V1

TRAINING = "_training"

forecast_v1 = FeatureService(
    name=FORECAST_V1.name,
    features=[
        window[["window", "reference_price", "feature_hash", "table_versions"]],
        regime[["regime"]],
        strategy[["selected_strategy", "strategies", "weights", "confidence"]],
    ],
    description="What one forecast request reads: model input, regime, and the strategy in force",
)
forecast_v1_training = FeatureService(
    name=FORECAST_V1.name + TRAINING,
    features=[technical[list(FORECAST_V1.features)]],
    description="What models of this signature are trained on, session by session",
)
