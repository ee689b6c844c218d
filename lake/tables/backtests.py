"""Tables of back-tests: one row each with its nulls beside it, its equity session by session, and its fills."""

from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import COUNT, EVENT_TIME, REAL, RECOMPUTED, SYMBOL, TEXT

BACKTEST_ACCOUNTS = ("strategy", "equal_weight", "naive")
"""Accounts of a back-test: the strategy, 1/N over the same universe, and a forecast of zero, under the same costs."""

BACKTEST_ID = Column(
    "backtest_id", TEXT, "", "first 16 digits of the SHA-256 of strategy file, table versions, last session and code"
)
ACCOUNT = Column("account", TEXT, "", "whose equity it is", allowed=BACKTEST_ACCOUNTS)


def _part(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name, REAL, "fraction", meaning, nullable=nullable)


BACKTESTS = TableSpec(
    name="backtests",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="Every back-test, with 1/N and naive under the same costs in the same row (docs/backtest.md).",
    key=("backtest_id",),
    restates=False,
    columns=(
        BACKTEST_ID,
        Column("event_time", INSTANT, "UTC", "last session that was traded"),
        Column("known_time", INSTANT, "UTC", "market time at which it was run"),
        Column("ran_at", INSTANT, "UTC", "wall-clock time at which it was run"),
        Column("strategy", TEXT, "", "name in the strategy file"),
        Column("held", TEXT, "", "what the strategy holds, in a phrase"),
        Column("strategy_file", TEXT, "", "every value of the strategy file, as JSON"),
        Column("first_session", INSTANT, "UTC", "first close at which a target was decided"),
        Column("sessions", COUNT, "", "sessions traded", minimum=1),
        Column("symbols", COUNT, "", "symbols of its universe", minimum=1),
        Column("delisted", COUNT, "", "symbols of it whose bars end before the last session", minimum=0),
        Column("capital", REAL, "currency", "equity at the start", positive=True),
        _part("net_return", "final over first equity - 1, after every cost"),
        _part("gross_return", "net return + costs by kind"),
        _part("cost_fee", "fees / capital"),
        _part("cost_spread", "half-spreads / capital"),
        _part("cost_slippage", "slippage / capital"),
        _part("cost_impact", "market impact / capital"),
        _part("cost_borrow", "borrow fees on shorts / capital"),
        _part("cost_interest", "margin interest less interest earned on cash / capital"),
        _part("cost_haircut", "loss at delistings / capital"),
        Column("sharpe", REAL, "per year", "of net returns above cash; null without a spread", nullable=True),
        _part("drawdown", "deepest fall from the highest net equity so far"),
        Column("turnover", REAL, "per year", "value traded / equity", minimum=0),
        Column("exposure", REAL, "fraction", "mean of the sum of absolute positions / equity", minimum=0),
        _part("equal_weight_net_return", "1/N, rebalanced as the strategy, same costs and engine"),
        Column("equal_weight_sharpe", REAL, "per year", "of 1/N; null without a spread", nullable=True),
        _part("equal_weight_drawdown", "of 1/N"),
        Column("equal_weight_turnover", REAL, "per year", "of 1/N", minimum=0),
        _part("naive_net_return", "a forecast of zero: cash, with its interest"),
        _part("gain_on_equal_weight", "net return - that of 1/N"),
        Column("effective_sessions", REAL, "", "independent sessions that say as much", nullable=True, minimum=0),
        Column("trials", COUNT, "", "configurations of its family, this one among them", minimum=1),
        Column("dsr", REAL, "fraction", "deflated Sharpe ratio given trials", nullable=True, minimum=0, maximum=1),
        Column("pbo", REAL, "fraction", "back-test overfitting of the family", nullable=True, minimum=0, maximum=1),
        Column("pbo_low", REAL, "fraction", "5 % quantile of pbo on noise", nullable=True),
        Column("pbo_high", REAL, "fraction", "95 % quantile of pbo on noise", nullable=True),
        Column("holdout_openings", COUNT, "", "looks at these sessions so far, this one among them", minimum=1),
        Column("shuffles", COUNT, "", "null twins that traded on shuffled forecasts", minimum=0),
        Column(
            "shuffles_ahead",
            COUNT,
            "",
            "null twins with at least its net Sharpe ratio; null without twins",
            nullable=True,
        ),
        Column(
            "capacity",
            REAL,
            "currency",
            "equity at which the net Sharpe ratio is that of 1/N; null where there is none, see report",
            nullable=True,
        ),
        Column("report", TEXT, "", "folds, accounts, capacity curve, universe and remarks, as JSON"),
        Column("table_versions", TEXT, "", "versions of the tables that were read, as JSON"),
        Column("code_version", TEXT, "", "SHA-256 of the code that decides the result"),
        Column("seconds", REAL, "s", "how long it took", minimum=0),
    ),
)

BACKTEST_SESSIONS = TableSpec(
    name="backtest_sessions",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="Equity of each account of a back-test at each session.",
    key=("backtest_id", "account", "event_time"),
    restates=False,
    columns=(
        BACKTEST_ID,
        ACCOUNT,
        EVENT_TIME,
        Column("known_time", INSTANT, "UTC", "market time at which the back-test was run"),
        Column("equity", REAL, "currency", "cash + positions at the close, after every cost"),
        Column("gross_equity", REAL, "currency", "equity + costs paid so far"),
        Column("turnover", REAL, "fraction", "value traded in the session / equity before", minimum=0),
        Column("exposure", REAL, "fraction", "sum of absolute positions / equity", minimum=0),
    ),
)

BACKTEST_FILLS = TableSpec(
    name="backtest_fills",
    tolerance=RECOMPUTED,
    layer="decisions",
    meaning="What the strategy of a back-test traded; the bar of a fill is the row of bars of symbol and event_time.",
    key=("backtest_id", "fill_id"),
    restates=False,
    columns=(
        BACKTEST_ID,
        Column("fill_id", TEXT, "", "identifier within the back-test"),
        Column("event_time", INSTANT, "UTC", "close of the bar that it was filled in"),
        Column("known_time", INSTANT, "UTC", "market time at which the back-test was run"),
        SYMBOL,
        Column("decided_at", INSTANT, "UTC", "close at which its target was decided"),
        Column("quantity", REAL, "shares", "bought, or sold if negative"),
        Column("price", REAL, "currency", "price of the bar per share, before all costs", positive=True),
        Column("fee", REAL, "currency", "fee of the fill"),
        Column("spread", REAL, "currency", "half-spread paid"),
        Column("slippage", REAL, "currency", "slippage paid"),
        Column("impact", REAL, "currency", "market impact paid"),
    ),
)
