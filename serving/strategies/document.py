"""Write the strategies that the model cards declare to `serving/strategies/pool.json`, where the service reads them.

The service process does not import the training room, so what it needs of a card travels as data (see
`docs/adr/0017-strategies-travel-as-data.md`). Run by `make docs`; a test compares the file with the cards.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training.models import ModelCard


POOL = Path(__file__).with_name("pool.json")


def pool_as_json(cards: "Iterable[ModelCard]") -> str:
    """Return the strategies that models feed, in the order of the cards, one line of JSON each."""
    rows = [{"model": card.name, **asdict(strategy)} for card in cards for strategy in card.strategies]
    return "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n]\n"


def main() -> None:
    """Write the file."""
    from training.models import MODELS

    POOL.write_text(pool_as_json(MODELS.values()), encoding="utf-8")


if __name__ == "__main__":
    main()
