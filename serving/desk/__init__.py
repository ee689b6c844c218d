"""Desk: from votes to decisions, orders and fills on paper, with a receipt of every decision.

- `votes`, `situation`, `rules`, `deciding`: the decision engine; `decide` is pure
- `receipt`: a decision under a seal, and made again bit by bit
- `broker`, `simulated`, `stream`: the port to a broker, and the one that fills orders on recorded bars
- `account`, `opening`: an account on paper and its terms
- `gathering`, `guarding`: votes from the tables, and the account as the risk gate sees it
- `journal`, `recording`, `draining`: every row on disk before anything follows from it, and its way into the lake
- `session`, `updating`: one session: reconcile with the broker, take in what happened, decide, send
- `reconciling`: a back-test over the paper period against the desk, fill by fill
- `attribution`, `reading`, `exporting`: what earned the result, and what is shown and handed out of it
- `tables`: the desk as its tables knew it at an instant
"""

from serving.desk.account import PAPER, DeskAccount
from serving.desk.attribution import Attribution, attribute
from serving.desk.broker import Broker, BrokerEvent, BrokerStatement
from serving.desk.deciding import DeskDecision, DeskLimits, decide
from serving.desk.draining import drain_desk
from serving.desk.exporting import ExportedFile, altered_files, export_desk
from serving.desk.journal import DeskJournal
from serving.desk.opening import CAPITAL, open_desk
from serving.desk.reading import DeskView, ExplainedDecision, desk_views, explained, replay_decision
from serving.desk.receipt import DecisionInputs, DecisionReplay, inputs_in, receipt_of, replay_receipt
from serving.desk.reconciling import FillDifference, Reconciliation, compare, reconcile_desk
from serving.desk.rules import RULE_NAMES, DeskRules, rulings
from serving.desk.session import DeskRun, PaperDesk, journal_of, recorded_bars, simulated_broker
from serving.desk.simulated import SimulatedBroker
from serving.desk.situation import DeskSituation
from serving.desk.sqlite import BROKER_FILE, JOURNAL_FILE
from serving.desk.stream import BarStream
from serving.desk.tables import DecisionRecord, DeskRecord, decision_record, decisions_about, desk_records
from serving.desk.updating import update_desk, update_reconciliation
from serving.desk.votes import CountedVote, Vote

__all__ = [
    "BROKER_FILE",
    "CAPITAL",
    "JOURNAL_FILE",
    "PAPER",
    "RULE_NAMES",
    "Attribution",
    "BarStream",
    "Broker",
    "BrokerEvent",
    "BrokerStatement",
    "CountedVote",
    "DecisionInputs",
    "DecisionRecord",
    "DecisionReplay",
    "DeskAccount",
    "DeskDecision",
    "DeskJournal",
    "DeskLimits",
    "DeskRecord",
    "DeskRules",
    "DeskRun",
    "DeskSituation",
    "DeskView",
    "ExplainedDecision",
    "ExportedFile",
    "FillDifference",
    "PaperDesk",
    "Reconciliation",
    "SimulatedBroker",
    "Vote",
    "altered_files",
    "attribute",
    "compare",
    "decide",
    "decision_record",
    "decisions_about",
    "desk_records",
    "desk_views",
    "drain_desk",
    "explained",
    "export_desk",
    "inputs_in",
    "journal_of",
    "open_desk",
    "receipt_of",
    "reconcile_desk",
    "recorded_bars",
    "replay_decision",
    "replay_receipt",
    "rulings",
    "simulated_broker",
    "update_desk",
    "update_reconciliation",
]
