"""Where a session stands in its week and month, by the exchange's calendar."""

from feature_repo.compute.market import as_given
from feature_repo.spec import Feature, FeatureGroup
from lake.horizons import DAY

NO_SESSION = "where the bar closes at no session's close"

CALENDAR = FeatureGroup(
    name="calendar",
    meaning="Where every session stands in its week and month.",
    features=(
        Feature(
            name="day_of_week",
            function=as_given,
            inputs=("weekday",),
            lookback=1,
            unit="1-7",
            formula="1 on a Monday ... 7 on a Sunday, where there are sessions on weekends",
            meaning="weekday of the session",
            null_rule=NO_SESSION,
            intervals=(DAY,),
            minimum=1,
            maximum=7,
        ),
        Feature(
            name="sessions_to_month_end",
            function=as_given,
            inputs=("sessions_left_in_month",),
            lookback=1,
            unit="sessions",
            formula="sessions of the exchange's calendar after this one in the same month, 0 on the last",
            meaning="how far the end of the month is",
            null_rule=NO_SESSION,
            intervals=(DAY,),
            minimum=0,
            maximum=30,
        ),
    ),
)
