"""Receipts: the inputs of each forecast, under a seal.

- `receipt`, `code`: the receipt as a type, and the code that computed
- `writing`: receipts on the request path
- `seals`: digests of rows, answers and receipts
- `drain_digest`: digests of drained batches on the audit chain
- `findings`: what a check against receipts found
"""

from serving.receipts.code import running_code
from serving.receipts.findings import TELLING, ReplayFinding
from serving.receipts.receipt import EngineSettings, ModelUse, Receipt, StrategyInForce
from serving.receipts.seals import DIGITS, SEAL, digest_of, is_intact, opened, row_digest
from serving.receipts.writing import batch_id, batch_receipt, receipt_text, shared_part, tables_read

__all__ = [
    "DIGITS",
    "SEAL",
    "TELLING",
    "EngineSettings",
    "ModelUse",
    "Receipt",
    "ReplayFinding",
    "StrategyInForce",
    "batch_id",
    "batch_receipt",
    "digest_of",
    "drain_digest",
    "is_intact",
    "opened",
    "receipt_text",
    "row_digest",
    "running_code",
    "shared_part",
    "tables_read",
]
