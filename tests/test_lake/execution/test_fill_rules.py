"""Fill rules of each kind of order, computed by hand on single bars; buys and sales are mirror images."""

from dataclasses import replace

import pytest

from lake.errors import ConfigError, UnknownNameError
from lake.execution import (
    NO_COSTS,
    Book,
    Fill,
    Order,
    OrderKind,
    OrderState,
    Position,
    SimulatedVenue,
    TradedBar,
    VenueState,
    bracket,
)

Prices = tuple[float, float, float, float]
BAR: Prices = (100.0, 104.0, 97.0, 101.0)


def order(quantity: float, kind: OrderKind = "market", **fields) -> Order:
    return Order(fields.pop("order_id", "o"), "backtest", "AAA", quantity, kind, **fields)


def bar(prices: Prices, **fields) -> TradedBar:
    return TradedBar("AAA", None, *prices, **fields)


def venue_of(held: float = 0.0, close: float = 100.0) -> SimulatedVenue:
    positions = {"AAA": Position(held, close)} if held else {}
    return SimulatedVenue(NO_COSTS, VenueState(Book(10_000.0, positions), closes={"AAA": close}))


def prices_of(orders: list[Order], *bars: Prices, held: float = 0.0) -> list[tuple[str, float, float]]:
    venue = venue_of(held)
    for each in orders:
        venue.submit(each)
    results = [venue.trade([bar(prices)], None) for prices in bars]
    return [(fill.order_id, fill.quantity, fill.price) for result in results for fill in result.fills]


def price_of(given: Order, *bars: Prices) -> float | None:
    fills = prices_of([given], *bars)
    return fills[0][2] if fills else None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (order(1), 100.0),
        (order(-1, "on_open"), 100.0),
        (order(1, "on_close"), 101.0),
        (order(1, "limit", limit_price=98.0), 98.0),
        (order(1, "limit", limit_price=97.0), None),  # touched, not traded through
        (order(1, "limit", limit_price=105.0), 100.0),  # the open is better
        (order(-1, "limit", limit_price=103.0), 103.0),
        (order(-1, "limit", limit_price=104.0), None),
        (order(-1, "limit", limit_price=95.0), 100.0),
        (order(1, "stop", stop_price=102.0), 102.0),
        (order(1, "stop", stop_price=104.0), 104.0),  # reached is enough
        (order(1, "stop", stop_price=99.0), 100.0),  # gapped over: the open is worse
        (order(1, "stop", stop_price=104.5), None),
        (order(-1, "stop", stop_price=98.0), 98.0),
        (order(-1, "stop", stop_price=102.0), 100.0),
        (order(-1, "stop", stop_price=96.0), None),
        (order(1, "stop_limit", stop_price=102.0, limit_price=103.0), 102.0),
        (order(1, "stop_limit", stop_price=99.0, limit_price=99.5), None),  # gapped over the limit: it waits
        (order(-1, "stop_limit", stop_price=98.0, limit_price=97.5), 98.0),
        (order(-1, "stop_limit", stop_price=102.0, limit_price=101.0), None),
        (order(1, time_in_force="ioc"), 100.0),
        (order(1, "limit", limit_price=98.0, time_in_force="ioc"), None),  # sees the open alone
        (order(1, "limit", limit_price=100.5, time_in_force="ioc"), 100.0),
        (order(-1, "stop", stop_price=98.0, time_in_force="ioc"), None),
    ],
)
def test_price_in_one_bar(given: Order, expected: float | None) -> None:
    assert price_of(given, BAR) == expected


def test_a_stop_limit_that_was_reached_waits_as_a_limit() -> None:
    given = order(1, "stop_limit", stop_price=99.0, limit_price=99.5, time_in_force="gtc")
    assert price_of(given, BAR, (100.0, 101.0, 99.0, 100.0)) == 99.5
    assert price_of(given, BAR, (100.0, 101.0, 99.5, 100.0)) is None


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ([(100.0, 101.0, 95.0, 99.0)], 95.0),  # 5 % below the close of the decision
        ([(94.0, 96.0, 93.0, 95.0)], 94.0),  # gapped: the open is worse
        ([(110.0, 111.0, 104.0, 105.5)], 104.5),  # the open comes first, and moves the stop
        ([(100.0, 110.0, 99.0, 104.0)], 104.5),  # the close is after the high and below the stop it drew up
        ([(100.0, 110.0, 99.0, 106.0)], None),  # whether 99 came after 110 is not known, 106 did
        ([(100.0, 110.0, 99.0, 106.0), (106.0, 107.0, 104.0, 105.0)], 104.5),
    ],
)
def test_a_trailing_stop_follows_the_best_price(bars: list[Prices], expected: float | None) -> None:
    assert price_of(order(-1, "trailing_stop", trail_fraction=0.05, time_in_force="gtc"), *bars) == expected


def test_a_trailing_stop_of_a_buy_is_the_mirror_image() -> None:
    given = order(1, "trailing_stop", trail_fraction=0.05, time_in_force="gtc")
    assert price_of(given, (100.0, 101.0, 90.0, 94.0), (94.0, 95.0, 93.0, 94.0)) == pytest.approx(94.5)


def test_stop_and_target_in_one_bar_fill_the_stop() -> None:
    entry, target, stop = bracket(order(10), target_price=103.0, stop_price=98.0)
    fills = prices_of([entry, target, stop], (100.0, 101.0, 99.0, 100.0), BAR)
    assert fills == [("o", 10.0, 100.0), ("o/stop", -10.0, 98.0)]


def test_a_bracket_ends_with_one_of_its_sides() -> None:
    venue = venue_of()
    for each in bracket(order(10), target_price=103.0, stop_price=90.0):
        venue.submit(each)
    result = venue.trade([bar(BAR)], None)
    assert [(fill.order_id, fill.price) for fill in result.fills] == [("o", 100.0), ("o/target", 103.0)]
    last = {state.order.order_id: state for state in result.states}
    assert (last["o/stop"].status, last["o/stop"].reason) == ("cancelled", "'o/target' of its group was filled")
    assert venue.open_orders == ()
    assert venue.book.positions == {}


def test_children_of_an_entry_inside_the_bar_see_its_stop_and_not_its_target() -> None:
    entry, target, stop = bracket(order(10, "limit", limit_price=99.0), target_price=103.0, stop_price=95.0)
    assert prices_of([entry, target, stop], BAR) == [("o", 10.0, 99.0)]  # 104 may have come before 99
    lower = (100.0, 104.0, 94.0, 101.0)
    assert prices_of([entry, target, stop], lower) == [("o", 10.0, 99.0), ("o/stop", -10.0, 95.0)]


def test_children_end_with_a_parent_without_a_fill() -> None:
    venue = venue_of()
    for each in bracket(order(10, "limit", limit_price=90.0), target_price=103.0, stop_price=80.0):
        venue.submit(each)
    last = {state.order.order_id: state for state in venue.trade([bar(BAR)], None).states}
    assert last["o"].status == "expired"
    assert {last["o/stop"].reason, last["o/target"].reason} == {"its parent 'o' ended without a fill"}
    assert venue.open_orders == ()


def test_a_partial_fill_shortens_the_other_side_of_a_group() -> None:
    costs = replace(NO_COSTS, most_of_volume=0.1)
    venue = SimulatedVenue(costs, VenueState(Book(0.0, {"AAA": Position(10.0, 100.0)}), closes={"AAA": 100.0}))
    venue.submit(order(-10, "limit", limit_price=103.0, time_in_force="gtc", group="g", order_id="target"))
    venue.submit(order(-10, "stop", stop_price=90.0, time_in_force="gtc", group="g", order_id="stop"))
    venue.trade([bar(BAR, volume=40.0)], None)
    assert {state.order.order_id: state.remaining for state in venue.open_orders} == {"target": -6.0, "stop": -6.0}


def test_a_day_order_ends_with_the_next_session_and_gtc_waits() -> None:
    limit = {"limit_price": 98.0}
    quiet = (100.0, 101.0, 99.0, 100.0)
    assert prices_of([order(1, "limit", **limit)], quiet, BAR) == []
    assert prices_of([order(1, "limit", **limit, time_in_force="gtc")], quiet, BAR) == [("o", 1.0, 98.0)]


@pytest.mark.parametrize(("held", "expected"), [(4.0, [("o", -4.0, 100.0)]), (0.0, []), (-3.0, [])])
def test_reduce_only_is_cut_to_the_position(held: float, expected: list) -> None:
    assert prices_of([order(-10, is_reduce_only=True)], BAR, held=held) == expected


def test_reduce_only_says_why_it_ended() -> None:
    venue = venue_of()
    venue.submit(order(-10, is_reduce_only=True))
    state = venue.trade([bar(BAR)], None).states[-1]
    assert (state.status, state.reason) == ("cancelled", "reduce-only, and there is no position to reduce")


def test_fills_never_take_more_than_their_part_of_the_volume_together() -> None:
    venue = SimulatedVenue(replace(NO_COSTS, most_of_volume=0.1), VenueState(Book(0.0)))
    for number in range(3):
        venue.submit(order(60, order_id=f"o{number}", time_in_force="gtc" if number == 1 else "day"))
    fills = [venue.trade([bar(BAR, volume=1_000.0)], None).fills for _ in range(2)]
    assert [[(fill.fill_id, fill.quantity) for fill in each] for each in fills] == [
        [("o0:1", 60.0), ("o1:1", 40.0)],
        [("o1:2", 20.0)],
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "limit"}, "is of kind 'limit' and has no limit_price; give one"),
        ({"stop_price": 5.0}, "is of kind 'market', which has no stop_price; leave it out"),
        ({"kind": "stop", "stop_price": -5.0}, "has a stop_price of -5.0; a positive number is needed"),
        ({"kind": "trailing_stop", "trail_fraction": 1.5}, "it is a part of the price, below 1"),
        ({"kind": "on_close", "time_in_force": "gtc"}, "an auction takes orders of time in force 'day' only"),
        ({"quantity": 0.0}, "a number of shares other than 0 is needed"),
        ({"quantity": float("nan")}, "a number of shares other than 0 is needed"),
    ],
)
def test_an_order_that_cannot_be_is_refused(fields: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Order("o", "backtest", "AAA", **{"quantity": 1.0, **fields})


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="no kind of order 'iceberg'"):
        order(1, "iceberg")
    with pytest.raises(UnknownNameError, match="no time in force 'gtd'"):
        order(1, time_in_force="gtd")
    with pytest.raises(ConfigError, match="of a buy the target lies above the stop"):
        bracket(order(1), target_price=90.0, stop_price=95.0)


def test_what_a_venue_can_never_fill_comes_back_refused() -> None:
    venue = venue_of()
    venue.submit(order(1))
    refused = [
        venue.submit(order(1)),
        venue.submit(order(1, order_id="c", parent_id="none")),
        venue.submit(Order("c", "backtest", "BBB", 1.0, parent_id="o")),
    ]
    assert [state.status for state in refused] == ["refused"] * 3
    assert [state.reason for state in refused] == [
        "an order with this identifier was submitted before",
        "its parent 'none' is not open: it ended, or was not submitted before",
        "its parent 'o' is of another symbol",
    ]
    with pytest.raises(ConfigError, match="is of account 'other'"):
        venue.submit(replace(order(1), account="other"))
    with pytest.raises(ConfigError, match="no open order 'x'"):
        venue.cancel("x")


def test_a_cancelled_order_has_no_fill() -> None:
    venue = venue_of()
    venue.submit(order(1))
    assert venue.cancel("o").reason == "cancelled by its owner"
    assert venue.trade([bar(BAR)], None).fills == ()


def test_a_fill_says_what_a_share_cost() -> None:
    fill = Fill("o:1", "o", "AAA", -10.0, 50.0, 1.0, 2.0, 1.0, 1.0, None)
    assert (fill.cost, fill.cash, fill.paid_price) == (5.0, 495.0, 49.5)
    assert OrderState(order(5), "partly_filled", 1, None, filled=2.0).remaining == 3.0
