"""What happens to instruments, and what their bars lack: computed by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lake.errors import ConfigError
from lake.execution import (
    NO_COSTS,
    Book,
    Costs,
    Order,
    Position,
    SessionResult,
    SimulatedVenue,
    TargetWeights,
    TradedBar,
    VenueState,
    as_traded,
    simulate,
    traded_panel,
)
from support.execution_worlds import sessions_of

FRIDAY = datetime(2024, 3, 1, 21, tzinfo=UTC)
MONDAY = FRIDAY + timedelta(days=3)
IMPACT = replace(NO_COSTS, impact_coefficient=1.0)


def venue_of(held: float = 0.0, costs: Costs = NO_COSTS, cash: float = 10_000.0) -> SimulatedVenue:
    positions = {"AAA": Position(held, 100.0)} if held else {}
    return SimulatedVenue(costs, VenueState(Book(cash, positions), closes={"AAA": 100.0}, at=FRIDAY))


def trade(venue: SimulatedVenue, *, price: float = 100.0, **fields) -> SessionResult:
    return venue.trade([TradedBar("AAA", MONDAY, price, price + 4, price - 4, price, **fields)], MONDAY)


def last_state(result: SessionResult) -> tuple[str, str]:
    return result.states[-1].status, result.states[-1].reason


def test_a_split_changes_the_position_and_the_open_orders() -> None:
    venue = venue_of(10.0)
    venue.submit(Order("stop", "backtest", "AAA", -10.0, "stop", stop_price=80.0, time_in_force="gtc"))
    venue.submit(Order("trail", "backtest", "AAA", -10.0, "trailing_stop", trail_fraction=0.5, time_in_force="gtc"))
    result = trade(venue, price=50.0, split=2.0)
    assert result.fills == ()  # 50 is no fall below 80, but half of 100
    assert result.valuation.equity == 11_000.0
    assert venue.book.positions["AAA"] == Position(20.0, 50.0)
    stop, trail = venue.open_orders
    assert (stop.order.quantity, stop.order.stop_price, stop.reason) == (-20.0, 40.0, "split into 2 shares per share")
    assert (trail.order.quantity, trail.mark) == (-20.0, 54.0)


def test_a_market_order_decided_before_a_split_trades_the_new_shares() -> None:
    venue = venue_of()
    venue.submit(Order("o", "backtest", "AAA", 10.0))
    assert trade(venue, price=50.0, split=2.0).fills[0].quantity == 20.0


@pytest.mark.parametrize(("held", "paid"), [(10.0, 5.0), (-10.0, -5.0)])
def test_holders_get_a_dividend_on_its_ex_date_and_short_sellers_pay_it(held: float, paid: float) -> None:
    venue = venue_of(held)
    venue.submit(Order("o", "backtest", "AAA", 100.0))  # bought on the ex-date: without the dividend
    result = trade(venue, dividend=0.5)
    assert (venue.book.dividends, [change.amount for change in result.changes]) == (paid, [paid])


@pytest.mark.parametrize(
    ("held", "ending", "cash"),
    [(10.0, "delisted", 700.0), (10.0, "merged", 1_000.0), (-10.0, "delisted", -1_000.0)],
)
def test_an_ending_pays_the_last_price_and_a_delisting_less_its_haircut(held: float, ending: str, cash: float) -> None:
    venue = venue_of(held, replace(NO_COSTS, delisting_haircut=0.3))
    venue.submit(Order("o", "backtest", "AAA", 1.0, "limit", limit_price=1.0, time_in_force="gtc"))
    result = trade(venue, ending=ending)
    assert venue.book.positions == {}
    assert [(change.kind, change.amount) for change in result.changes] == [(ending, cash)]
    assert last_state(result) == ("cancelled", f"AAA was {ending}")
    assert venue.submit(Order("p", "backtest", "AAA", 1.0)).reason == "AAA is no longer listed"


def test_a_halt_blocks_fills_and_ends_day_orders() -> None:
    venue = venue_of()
    venue.submit(Order("day", "backtest", "AAA", 1.0))
    venue.submit(Order("gtc", "backtest", "AAA", 1.0, time_in_force="gtc"))
    result = trade(venue, is_halted=True)
    assert (result.fills, last_state(result)) == ((), ("expired", "halted"))
    assert [fill.order_id for fill in trade(venue).fills] == ["gtc"]


def test_nothing_trades_before_it_is_listed() -> None:
    venue = venue_of()
    venue.submit(Order("o", "backtest", "NEW", 1.0, time_in_force="gtc"))
    assert last_state(trade(venue)) == ("refused", "NEW was not listed yet")
    venue.submit(Order("p", "backtest", "NEW", 1.0))
    listed = venue.trade([TradedBar("NEW", MONDAY, 10.0, 11.0, 9.0, 10.0)], MONDAY)
    assert listed.fills[0].price == 10.0  # decided the day before its first bar


@pytest.mark.parametrize("volume", [0.0, float("nan")])
def test_a_bar_without_volume_supports_no_impact_unless_one_is_declared(volume: float) -> None:
    venue = venue_of(costs=IMPACT)
    venue.submit(Order("o", "backtest", "AAA", 1.0))
    result = trade(venue, volume=volume, volatility=0.02)
    assert last_state(result)[0] == "refused"
    assert "the bar has no volume" in last_state(result)[1]
    venue = venue_of(costs=replace(IMPACT, declared_volume_shares=400.0))
    venue.submit(Order("o", "backtest", "AAA", 4.0))
    assert trade(venue, volume=volume, volatility=0.02).fills[0].impact == pytest.approx(4 * 100 * 0.02 * 0.1)


def test_a_bar_without_volatility_supports_no_impact() -> None:
    venue = venue_of(costs=IMPACT)
    venue.submit(Order("o", "backtest", "AAA", 1.0))
    status, reason = last_state(trade(venue, volume=100.0))
    assert (status, reason) == ("refused", "the bar has no volatility, so the impact cannot be computed")


def test_impact_is_the_square_root_law_over_all_fills_of_a_bar() -> None:
    venue = venue_of(costs=IMPACT)
    for number in range(2):
        venue.submit(Order(f"o{number}", "backtest", "AAA", 50.0))
    fills = trade(venue, volume=10_000.0, volatility=0.02).fills
    assert sum(fill.impact for fill in fills) == pytest.approx(100 * 100 * 0.02 * (100 / 10_000) ** 0.5)


def test_the_minimum_fee_is_paid_once_per_order() -> None:
    costs = replace(NO_COSTS, fee_bps=1.0, fee_per_share=0.01, fee_minimum=1.0, most_of_volume=0.1)
    venue = venue_of(costs=costs)
    venue.submit(Order("o", "backtest", "AAA", 100.0, time_in_force="gtc"))
    fees = [fill.fee for _ in range(4) for fill in trade(venue, volume=300.0).fills]
    assert fees == pytest.approx([1.0, 0.2, 0.6, 0.2])  # 30 shares: .6, raised to 1; 60: 1.2; 90: 1.8; 100: 2


def test_short_sales_end_where_no_shares_can_be_borrowed() -> None:
    venue = venue_of(5.0)
    venue.submit(Order("o", "backtest", "AAA", -20.0))
    result = trade(venue, borrowable=10.0)
    assert (result.fills[0].quantity, *last_state(result)) == (-15.0, "cancelled", "no more shares to borrow")
    venue.submit(Order("p", "backtest", "AAA", -1.0))
    assert last_state(trade(venue, borrowable=10.0)) == ("refused", "no shares to borrow")


@pytest.mark.parametrize(
    ("cash", "held", "interest", "borrow"),
    [
        (10_000.0, 0.0, 10_000 * 0.036 * 3 / 360, 0.0),
        (-10_000.0, 200.0, -10_000 * 0.072 * 3 / 360, 0.0),
        (10_000.0, -40.0, 6_000 * 0.036 * 3 / 360, 4_000 * 0.018 * 3 / 360),
    ],
)
def test_a_weekend_costs_three_days(cash: float, held: float, interest: float, borrow: float) -> None:
    costs = replace(NO_COSTS, cash_bps_a_year=360, margin_bps_a_year=720, borrow_bps_a_year=180)
    venue = venue_of(held, costs, cash)
    trade(venue)
    assert (venue.book.interest, venue.book.borrow) == pytest.approx((interest, borrow))


def test_a_target_of_a_symbol_without_a_price_is_named() -> None:
    nan = float("nan")
    prices = {name: [[10.0, nan], [10.0, 5.0]] for name in ("open", "high", "low", "close")}
    panel = traded_panel(sessions_of(2), ["OLD", "NEW"], **prices)
    path = simulate(panel, lambda _: TargetWeights({"OLD": 0.5, "NEW": 0.5}), NO_COSTS, cash=100.0)
    assert path.skipped == ((panel.times[0], "NEW"),)
    assert path.book.quantity("OLD") == 5.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"high": [[9.0], [9.0]]}, "opens or closes outside of its low and high"),
        ({"low": [[-1.0], [-1.0]]}, "a price that is not positive"),
        ({"open": [[float("nan")], [10.0]]}, "some of its prices and not others"),
        ({"split": [[0.0], [1.0]]}, "a split that is not positive"),
        ({"volume": [[-1.0], [1.0]]}, "negative volume"),
        ({"ending": [[1.0], [0.0]]}, "comes after the ending"),
        ({"ending": [[0.0], [7.0]]}, "an ending that does not exist"),
        ({"dividend": [[float("nan")], [0.0]]}, "a dividend that is not a number"),
        ({"volume": [1.0, 2.0]}, "volume has the shape"),
    ],
)
def test_bars_that_contradict_themselves_are_refused(fields: dict, message: str) -> None:
    prices = {name: [[10.0], [10.0]] for name in ("open", "high", "low", "close")}
    with pytest.raises(ConfigError, match=message):
        traded_panel(sessions_of(2), ["AAA"], **{**prices, **fields})


def test_sessions_and_symbols_are_told_once() -> None:
    prices = {name: [[10.0, 10.0]] * 2 for name in ("open", "high", "low", "close")}
    with pytest.raises(ConfigError, match="names a symbol twice"):
        traded_panel(sessions_of(2), ["AAA", "AAA"], **prices)
    with pytest.raises(ConfigError, match="do not increase"):
        traded_panel(sessions_of(2)[::-1], ["AAA", "BBB"], **prices)


def test_an_account_starts_with_the_last_closes_of_what_it_holds() -> None:
    with pytest.raises(ConfigError, match="holds AAA without a last close"):
        VenueState(Book(0.0, {"AAA": Position(1.0, 100.0)}))


def test_prices_are_scaled_to_what_was_traded() -> None:
    assert as_traded([[48.0]], [[50.0]], [[200.0]]).tolist() == [[192.0]]


@pytest.mark.parametrize("knobs", [{"fee_bps": -1.0}, {"slippage_bps": float("nan")}, {"delisting_haircut": 1.5}])
def test_costs_that_cannot_be_are_refused(knobs: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(knobs))):
        Costs(**knobs)
    with pytest.raises(ConfigError, match="nothing could be computed"):
        Costs(most_of_volume=0)
