"""Costs cost on every kind of order, limits and stops keep their rules, and nothing is lost in a split."""

from mutant import Mutant

RULES = "tests/test_lake/execution/test_fill_rules.py::"
EVENTS = "tests/test_lake/execution/test_events.py::"
INVARIANTS = "tests/test_lake/execution/test_invariants.py::"
TWIN = "tests/test_lake/execution/test_twin.py::"
EVERY_KIND = f"{INVARIANTS}test_each_cost_raised_alone_lowers_the_result_of_every_kind_of_order"

MUTANTS = (
    Mutant(
        "execution-dead-slippage",
        "Each cost of an order lowers the result of every kind of order.",
        "lake/execution/sizing.py",
        "value * (costs.slippage_bps / 1e4),",
        "0.0,",
        (f"{EVERY_KIND}[market]",),
    ),
    Mutant(
        "execution-stop-without-slippage",
        "A stop pays slippage like any other order.",
        "lake/execution/sizing.py",
        "value * (costs.slippage_bps / 1e4),",
        'value * (0.0 if order.kind == "stop" else costs.slippage_bps / 1e4),',
        (f"{EVERY_KIND}[stop]",),
    ),
    Mutant(
        "execution-limit-touched",
        "A limit is filled only if the bar trades through it.",
        "lake/execution/filling.py",
        "return min(bar.open, limit) if bar.low < limit else None",
        "return min(bar.open, limit) if bar.low <= limit else None",
        (f"{RULES}test_price_in_one_bar",),
    ),
    Mutant(
        "execution-stop-at-its-price-after-a-gap",
        "A stop that a gap jumps over is filled at the open, which is worse.",
        "lake/execution/filling.py",
        "return min(bar.open, stop) if bar.low <= stop else None",
        "return stop if bar.low <= stop else None",
        (f"{RULES}test_price_in_one_bar",),
    ),
    Mutant(
        "execution-target-before-stop",
        "Of a stop and a target that one bar reaches, the stop is filled.",
        "lake/execution/filling.py",
        "PHASES = (AT_OPEN, BY_STOP, BY_LIMIT, AT_CLOSE)",
        "PHASES = (AT_OPEN, BY_LIMIT, BY_STOP, AT_CLOSE)",
        (f"{RULES}test_stop_and_target_in_one_bar_fill_the_stop",),
    ),
    Mutant(
        "execution-split-leaves-open-orders",
        "A split changes open orders as it changes the position.",
        "lake/execution/venue.py",
        "self._keep(self._open[order_id].after_split(bar.split), bar.time)",
        "self._keep(self._open[order_id], bar.time)",
        (f"{EVENTS}test_a_split_changes_the_position_and_the_open_orders",),
    ),
    Mutant(
        "execution-dividend-for-the-buyer",
        "Who buys on the ex-date does not get the dividend.",
        "lake/execution/venue.py",
        "        for bar in bars:\n            self._act(bar)\n        for bar in bars:\n"
        "            if self._of_symbol.get(bar.symbol):\n                self._trade_symbol(bar)\n",
        "        for bar in bars:\n            if self._of_symbol.get(bar.symbol):\n"
        "                self._trade_symbol(bar)\n        for bar in bars:\n            self._act(bar)\n",
        (f"{EVENTS}test_holders_get_a_dividend_on_its_ex_date_and_short_sellers_pay_it",),
    ),
    Mutant(
        "execution-halt-fills",
        "Nothing is filled while an instrument is halted.",
        "lake/execution/venue.py",
        "        if bar.is_halted:\n            return\n",
        "",
        (f"{EVENTS}test_a_halt_blocks_fills_and_ends_day_orders",),
    ),
    Mutant(
        "execution-impact-without-volume",
        "A bar without volume supports no impact: the order is refused.",
        "lake/execution/sizing.py",
        "    if not volume_of(bar.volume, costs) > 0:",
        "    if volume_of(bar.volume, costs) < 0:",
        (f"{EVENTS}test_a_bar_without_volume_supports_no_impact_unless_one_is_declared",),
    ),
    Mutant(
        "execution-impact-per-child",
        "Cutting an order into pieces makes its impact no smaller.",
        "lake/execution/sizing.py",
        "impact = impact_of(shares, taken, price,",
        "impact = impact_of(shares, 0.0, price,",
        (f"{EVENTS}test_impact_is_the_square_root_law_over_all_fills_of_a_bar",),
    ),
    Mutant(
        "execution-reduce-only-turns-the-position",
        "A reduce-only order never opens a position.",
        "lake/execution/sizing.py",
        'wanted, reason = -held, "reduce-only, and the position is closed"',
        'reason = "reduce-only, and the position is closed"',
        (f"{RULES}test_reduce_only_is_cut_to_the_position",),
    ),
    Mutant(
        "execution-twin-without-borrow-fee",
        "The vectorised back-test charges what the event engine charges.",
        "lake/execution/target_loop.py",
        "    borrow = short * knobs.borrow * days\n",
        "    borrow = 0.0 * knobs.borrow * days\n",
        (f"{TWIN}test_thirty_worlds_end_the_same_in_both",),
    ),
    Mutant(
        "execution-resumes-without-its-orders",
        "A simulation that is resumed goes on as one that was not interrupted.",
        "lake/execution/venue.py",
        "self._open = {state.order.order_id: state for state in start.orders}",
        'self._open = {state.order.order_id: state for state in start.orders if state.status == "working"}',
        (f"{INVARIANTS}test_day_by_day_is_one_shot",),
    ),
)
