"""What stops trading stops it, what must pass passes, and no order raises a figure above its limit."""

from mutant import Mutant

GATE = "tests/test_serving/test_risk_gate.py::"
SWITCH = "tests/test_serving/test_risk_switch.py::"
TRIPS = "tests/test_serving/test_risk_trips.py::"
TAIL = "tests/test_serving/test_risk_tail.py::"
FUZZ = f"{GATE}test_no_limit_is_passed_in_twenty_thousand_random_orders"

MUTANTS = (
    Mutant(
        "risk-closing-refused-when-halted",
        "What a named person closes passes in every state.",
        "serving/risk/gate.py",
        "if person.strip() and (own",
        'if state != "halted" and person.strip() and (own',
        (f"{GATE}test_in_halted_only_a_named_person_closes_and_never_beyond_the_position",),
    ),
    Mutant(
        "risk-reducing-lets-a-flip-through",
        "In `reducing` an order is cut to what closes the position.",
        "serving/risk/gate.py",
        'return _closing(order, closable, "switch"',
        'return _closing(order, abs(order.quantity), "switch"',
        (f"{GATE}test_reducing_cuts_an_order_that_would_turn_the_position_round", FUZZ),
    ),
    Mutant(
        "risk-open-orders-not-counted",
        "Open orders count at the worst that they can do.",
        "serving/risk/exposures.py",
        "return self.shares + self.opening_buys",
        "return self.shares",
        (FUZZ,),
    ),
    Mutant(
        "risk-second-close-of-the-same-shares",
        "Shares that an open order closes are not closed again by another.",
        "serving/risk/exposures.py",
        "max(abs(self.shares) - waiting, 0.0)",
        "abs(self.shares)",
        (f"{GATE}test_reducing_cuts_an_order_that_would_turn_the_position_round",),
    ),
    Mutant(
        "risk-trip-lost-at-restart",
        "A trip is in the latch, so a process that starts anew is stopped too.",
        "serving/risk/switch.py",
        "    write_latch(home, kept, [*found.events, event])\n    return read_latch(home)",
        "    return SwitchReading(tuple(kept), events=(*found.events, event))",
        (f"{TRIPS}test_a_true_loss_trips_with_its_third_quote_and_the_trip_outlives_the_process",),
    ),
    Mutant(
        "risk-one-bad-tick-trips",
        "A loss needs three distinct quotes of each symbol.",
        "serving/risk/trips.py",
        "return max(quotes) if is_high else min(quotes)",
        "return quotes[-1]",
        (f"{TRIPS}test_one_bad_tick_anywhere_never_trips",),
    ),
    Mutant(
        "risk-same-quote-confirms",
        "A quote that is not newer is the same one again.",
        "serving/risk/trips.py",
        'if at > self._quoted_at.get(symbol, float("-inf")) and price > 0:',
        "if price > 0:",
        (f"{TRIPS}test_the_same_quote_again_confirms_nothing",),
    ),
    Mutant(
        "risk-damaged-latch-is-active",
        "A latch that cannot be believed halts everything.",
        "serving/risk/states.py",
        '        if self.is_closed:\n            return "halted"\n',
        "",
        (f"{SWITCH}test_a_latch_that_cannot_be_believed_is_halted",),
    ),
    Mutant(
        "risk-latch-open-to-others-believed",
        "A latch that others could have written is not believed.",
        "serving/risk/latch.py",
        "if found.st_mode & OTHERS:",
        "if False:",
        (f"{SWITCH}test_a_latch_that_cannot_be_believed_is_halted",),
    ),
    Mutant(
        "risk-latch-of-another-home-believed",
        "A latch that was written for another home is not believed.",
        "serving/risk/latch.py",
        'if body["home"] != os.path.realpath(home):',
        "if False:",
        (f"{SWITCH}test_a_latch_of_another_home_is_halted",),
    ),
    Mutant(
        "risk-halt-waits-for-the-lock",
        "A halt is in force though another process holds the latch.",
        "serving/risk/switch.py",
        "        _halt_beside(home, made)\n",
        "        pass\n",
        (f"{SWITCH}test_a_halt_does_not_wait_for_a_process_that_holds_the_lock",),
    ),
    Mutant(
        "risk-runaway-not-halted",
        "A strategy whose orders are refused a hundred times within a second is halted.",
        "serving/risk/guard.py",
        "if len(recent) == RUNAWAY_REFUSALS and recent[0] > at - 1.0:",
        "if False:",
        (f"{GATE}test_a_runaway_is_stopped_within_a_second_and_a_thousand_orders",),
    ),
    Mutant(
        "risk-tail-sees-its-own-session",
        "A value at risk is made before its session.",
        "serving/risk/tail.py",
        "sliding_window_view(surprises[first:-1], window)",
        "sliding_window_view(surprises[first + 1 :], window)",
        (f"{TAIL}test_no_figure_sees_its_own_session_or_a_later_one",),
    ),
)
