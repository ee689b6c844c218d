"""Alpha158, the set of features that Qlib publishes, with the semantics of Qlib's operators.

A feature has Qlib's name in lower case (`kmid` is KMID, `roc5` is ROC5), and its formula is Qlib's expression, word for
word: `$close` is the adjusted close, `$volume` the volume adjusted for splits, `Ref(x, n)` is x of n bars before, and
an operator of n looks at the last n bars, or at as many as there are. So values begin early and are those of a full
window from `warm_up` on. `feature_repo.compute.alpha` says what a missing value does.

Bars have no volume-weighted price: `$vwap` stands for the typical price, the mean of high, low and close.
Every feature is a ratio of prices, a ratio of volumes or a share, so that none says what the level of the price is.
"""

from feature_repo.catalog.alpha158.bar import BAR
from feature_repo.catalog.alpha158.movement import CORRELATIONS, MOVES, VOLUMES
from feature_repo.catalog.alpha158.price import ORDER, PRICES
from feature_repo.spec import FeatureGroup

WINDOWS = (5, 10, 20, 30, 60)

ALPHA158 = FeatureGroup(
    name="alpha158",
    meaning=(
        "Alpha158 of every bar, as Qlib publishes it: shape, prices, order, correlations, moves and volumes. "
        "The names are Qlib's in lower case, the formulas its own expressions; `$vwap` stands for the typical price, "
        "the mean of high, low and close. An operator of n looks at the last n bars, or at as many as there are."
    ),
    features=BAR
    + tuple(
        operator.over(window) for operator in (*PRICES, *ORDER, *CORRELATIONS, *MOVES, *VOLUMES) for window in WINDOWS
    ),
)
