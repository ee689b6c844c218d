"""The paper desk: no vote, order or fill is lost or doubled, nothing is known too early, and a halt holds."""

from mutant import Mutant

DECIDING = "tests/test_serving_desk/test_deciding.py::"
SESSIONS = "tests/test_serving_desk/test_desk_sessions.py::"
RESTARTS = "tests/test_serving_desk/test_desk_restarts.py::"
COMPARED = "tests/test_serving_desk/test_desk_reconciliation.py::"
ENDED = f"{RESTARTS}test_a_desk_that_ends_between_writing_and_sending_goes_on_as_if_it_had_not"

MUTANTS = (
    Mutant(
        "desk-drops-losing-votes",
        "Every vote of a decision is stored, those that lost with who overruled them.",
        "serving/desk/recording.py",
        "        for each in decision.votes\n",
        "        for each in decision.votes if not each.overruled_by\n",
        (f"{SESSIONS}test_every_vote_is_stored_with_who_overruled_it",),
    ),
    Mutant(
        "desk-counts-expired-votes",
        "A vote that has expired does not count.",
        "serving/desk/deciding.py",
        "for each in counted if not _is_expired(each.vote, book))",
        "for each in counted)",
        (f"{DECIDING}test_a_vote_that_expired_is_cash_and_is_not_shared_among_the_others",),
    ),
    Mutant(
        "desk-trades-before-it-reconciles",
        "After a restart every order that was written down is settled before anything is traded.",
        "serving/desk/session.py",
        "resent = self.reconcile_orders(close)",
        "resent = 0",
        (f"{ENDED}[decided-0]", f"{RESTARTS}test_what_was_not_sent_in_its_session_is_not_sent_later"),
    ),
    Mutant(
        "desk-sends-orders-of-past-sessions",
        "An order that was not sent in the session of its decision is never sent.",
        "serving/desk/session.py",
        'decided is not None and decided["event_time"] == close',
        "decided is not None",
        (f"{RESTARTS}test_what_was_not_sent_in_its_session_is_not_sent_later",),
    ),
    Mutant(
        "desk-trades-at-its-own-close",
        "A decision at a close trades from the next open on.",
        "serving/desk/simulated.py",
        "if decided is not None and decided >= session:",
        "if decided is not None and decided > session:",
        (f"{RESTARTS}test_an_order_never_trades_in_the_bar_that_its_decision_knew",),
    ),
    Mutant(
        "desk-sends-while-halted",
        "What is halted sends no order, also where the halt came after the decision.",
        "serving/desk/session.py",
        'if verdict.action == "refuse":',
        'if verdict.action == "refuse" and verdict.limit != "switch":',
        (f"{RESTARTS}test_a_halt_between_decision_and_sending_keeps_every_order_back",),
    ),
    Mutant(
        "desk-decides-while-halted",
        "While trading is halted, every decision is to hold, and says who halted it.",
        "serving/desk/rules.py",
        'if now.switch == "halted":',
        'if now.switch == "stopped":',
        (f"{RESTARTS}test_a_halted_desk_sends_nothing_and_says_who_halted_it",),
    ),
    Mutant(
        "desk-takes-an-order-twice",
        "The broker takes an order of one identifier once.",
        "serving/desk/simulated.py",
        "if taken.fetchone() is not None:",
        "if False:",
        (f"{RESTARTS}test_the_same_order_is_taken_once",),
    ),
    Mutant(
        "desk-takes-in-events-twice",
        "Each event of the broker has its effect once.",
        "serving/desk/journal.py",
        "if event is not None:",
        "if False:",
        (f"{RESTARTS}test_the_newest_event_is_written_down_with_its_rows",),
    ),
    Mutant(
        "desk-takes-in-strangers",
        "An order at the broker that the desk never wrote down stops the desk.",
        "serving/desk/recording.py",
        "            if row is None:\n                raise ConflictError(",
        "            row = row or {}\n            if False:\n                raise ConflictError(",
        (f"{RESTARTS}test_an_order_that_the_desk_never_wrote_down_stops_it",),
    ),
    Mutant(
        "desk-reconciles-with-itself",
        "A fill that differs from the back-test in price, time, quantity or cost is named.",
        "serving/desk/reconciling.py",
        "for kind, a, b in pairs if a != b]",
        "for kind, a, b in pairs if a is None and b is None]",
        (f"{COMPARED}test_a_difference_is_found_and_named",),
    ),
    Mutant(
        "desk-attribution-leaves-out-costs",
        "The lines of the attribution less the costs are the result, exactly.",
        "serving/desk/attribution.py",
        "ordered[EXECUTION] = result + costs - sum(",
        "ordered[EXECUTION] = result - sum(",
        (f"{SESSIONS}test_the_lines_of_the_attribution_add_up_to_the_result_exactly",),
    ),
    Mutant(
        "desk-receipt-without-a-seal",
        "A receipt of a decision that was edited is found.",
        "serving/desk/receipt.py",
        "is_whole = is_intact(content, seal) and ",
        "is_whole = ",
        (f"{DECIDING}test_a_receipt_that_was_edited_is_altered_and_one_of_another_result_differs",),
    ),
)
