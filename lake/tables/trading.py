"""Tables of the paper desk: decisions with all their votes, and the orders, fills and positions that followed."""

from typing import get_args

from lake.execution import ORDER_KINDS, TIMES_IN_FORCE, OrderStatus
from lake.spec import INSTANT, Column, TableSpec
from lake.tables.columns import COUNT, EVENT_TIME, FLAG, KNOWN_TIME, REAL, SYMBOL, TEXT

VOTE_KINDS = ("strategy", "advice", "rule")
ORDER_STATUSES = ("intended", "unsent", "stopped", *get_args(OrderStatus))
"""`intended`: written down, not sent yet. `unsent`: it never reached the broker. `stopped`: the risk gate kept it back.
The others are those of the broker."""
DECIDED_ACTIONS = ("buy", "sell", "hold")

ACCOUNT = Column("account", TEXT, "", "account of the desk")
DECISION_ID = Column("decision_id", TEXT, "", "identifier of the decision")
DECIDED = Column("event_time", INSTANT, "UTC", "close that the decision knew")
RECORDED = Column("known_time", INSTANT, "UTC", "market time at which it was written down")


def _money(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name, REAL, "currency", meaning, nullable=nullable)


def _shares(name: str, meaning: str) -> Column:
    return Column(name, REAL, "shares", meaning)


DECISIONS = TableSpec(
    name="decisions",
    layer="decisions",
    meaning="What the desk decided about a symbol at a close, from which votes, under a seal (docs/desk.md).",
    key=("decision_id",),
    restates=False,
    by_year=True,
    columns=(
        DECISION_ID,
        ACCOUNT,
        SYMBOL,
        DECIDED,
        RECORDED,
        Column("action", TEXT, "", "what was decided", allowed=DECIDED_ACTIONS),
        Column("wanted", REAL, "fraction", "share of equity that the weighted votes ask for"),
        Column("target", REAL, "fraction", "share of equity that is to be held, after rules and limits"),
        Column("equal_weight_target", REAL, "fraction", "share of equity that 1/N would hold"),
        _shares("held", "held when it was decided; below zero where sold short"),
        _shares("quantity", "to trade, signed as the order; 0 to hold"),
        Column("decided_by", TEXT, "", "votes, or the rule or limit that had the last word"),
        Column("reason", TEXT, "", "why, in a sentence"),
        Column("order_id", TEXT, "", "order that follows from it; null for none", nullable=True),
        Column("content", TEXT, "", "receipt: everything that it was decided from, as JSON"),
        Column("seal", TEXT, "", "SHA-256 of content"),
    ),
)

VOTES = TableSpec(
    name="votes",
    layer="decisions",
    meaning="Every vote of a decision, the losing ones too, with who overruled them.",
    key=("decision_id", "source"),
    restates=False,
    by_year=True,
    columns=(
        DECISION_ID,
        Column("source", TEXT, "", "who votes, e.g. strategy:ridge, advice:moderate or rule:restricted"),
        Column("kind", TEXT, "", "kind of the source", allowed=VOTE_KINDS),
        SYMBOL,
        DECIDED,
        RECORDED,
        Column(
            "vote", REAL, "fraction", "share of equity to hold; null of a rule that had nothing to say", nullable=True
        ),
        Column("confidence", REAL, "fraction", "that it is right, by its own word", minimum=0, maximum=1),
        Column("weight", REAL, "fraction", "evidence weight: what it counts", minimum=0),
        Column("expires_at", INSTANT, "UTC", "from when on it does not count"),
        Column("version", TEXT, "", "version of the model or of the rule"),
        Column("reason", TEXT, "", "why, in a sentence"),
        Column("overruled_by", TEXT, "", "who had its way instead; null where the decision followed it", nullable=True),
    ),
)

ORDERS = TableSpec(
    name="orders",
    layer="decisions",
    meaning="Every change of state of every order of the desk; the identifier is the desk's own.",
    key=("order_id", "sequence"),
    restates=False,
    by_year=True,
    ordered=(),
    columns=(
        Column("order_id", TEXT, "", "identifier that the desk gave it before it was sent"),
        Column("sequence", COUNT, "", "counts the changes of the order, from 1", minimum=1),
        ACCOUNT,
        DECISION_ID,
        SYMBOL,
        Column("event_time", INSTANT, "UTC", "when it changed: close of a bar, or market time"),
        RECORDED,
        Column("side", TEXT, "", "buy or sell", allowed=("buy", "sell")),
        Column("kind", TEXT, "", "how its price is found", allowed=ORDER_KINDS),
        _shares("quantity", "ordered, signed: above zero buys"),
        _shares("filled", "filled so far, signed"),
        _money("limit_price", "worst price; null without one", nullable=True),
        _money("stop_price", "price at which it comes alive; null without one", nullable=True),
        Column("time_in_force", TEXT, "", "how long it waits", allowed=TIMES_IN_FORCE),
        Column("is_reduce_only", FLAG, "", "whether it may only make a position smaller"),
        Column("status", TEXT, "", "state it is in now", allowed=ORDER_STATUSES),
        Column("reason", TEXT, "", "why; empty where the state says all"),
        Column("parent_id", TEXT, "", "order whose fill it waits for; null without one", nullable=True),
    ),
)

FILLS = TableSpec(
    name="fills",
    layer="decisions",
    meaning="What the orders of the desk got; costs are beside the price, not in it.",
    key=("fill_id",),
    restates=False,
    by_year=True,
    columns=(
        Column("fill_id", TEXT, "", "identifier of the order and the number of the fill"),
        Column("order_id", TEXT, "", "order it belongs to"),
        ACCOUNT,
        SYMBOL,
        Column("event_time", INSTANT, "UTC", "close of the bar that it was filled in"),
        RECORDED,
        Column("decided_at", INSTANT, "UTC", "close at which it was decided: always an earlier one"),
        _shares("quantity", "bought, or sold if negative, as traded in that bar"),
        Column("price", REAL, "currency", "of the bar, before all costs", positive=True),
        _money("fee", "commission"),
        _money("spread", "half of the spread"),
        _money("slippage", "slippage"),
        _money("impact", "the order's own effect on the price"),
        Column("venue", TEXT, "", "who filled it"),
    ),
)

POSITIONS = TableSpec(
    name="positions",
    layer="decisions",
    meaning="What the desk held at each close.",
    key=("account", "symbol", "event_time"),
    restates=False,
    by_year=True,
    columns=(
        ACCOUNT,
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        _shares("quantity", "held, below zero where sold short"),
        _money("average_cost", "per share, costs of orders apart"),
        _money("price", "last close as traded"),
        _money("unrealised", "gain of what is held against its average cost"),
    ),
)

EQUITY = TableSpec(
    name="equity",
    layer="decisions",
    meaning="What the account of the desk was worth at each close, beside 1/N under the same costs.",
    key=("account", "event_time"),
    restates=False,
    by_year=True,
    columns=(
        ACCOUNT,
        EVENT_TIME,
        KNOWN_TIME,
        _money("cash", "after every cost"),
        _money("positions_value", "of all positions at the last closes"),
        _money("equity", "cash + positions_value"),
        _money("costs", "of orders and positions so far"),
        _money("realised", "gains of closed shares so far, costs of orders apart"),
        Column("gross", REAL, "fraction", "sum of absolute positions / equity", minimum=0),
        Column("net", REAL, "fraction", "positions_value / equity"),
        Column("drawdown", REAL, "fraction", "fall from the highest equity so far", minimum=0),
        _money("equal_weight_equity", "1/N over the same symbols: same capital, costs and fill rules"),
        _money("equal_weight_costs", "of 1/N so far"),
    ),
)
