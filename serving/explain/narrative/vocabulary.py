"""Words that a sentence may use beside the subjects and values of the facts it cites, and outside quotations.

The list is closed. It holds no word that denies, compares, gives a cause, promises or tells a reader to trade, no
number word, no name of a month, and nothing that could name a company: what a sentence says beyond such words must be
the printed form of a cited fact.
"""

RISING = frozenset({"above", "add", "adds", "higher", "increase", "increases", "positive", "raise", "raises", "up"})
FALLING = frozenset({"below", "decrease", "decreases", "down", "lower", "lowers", "negative", "reduce", "reduces"})
"""Words of direction; lists that are not each other's mirror would let a flipped word through as an unknown one."""

PLAIN = frozenset(
    """
    a after all an and are as at band bands base be been before between blend blends by calibrated calibration close
    closes confidence contribution contributions counted count counts data date day describe describes document each
    earlier error estimate estimates explanation feature features follow follows for forecast forecasts from had has
    have held history hold holds horizon in interval into is it its known made market median meant model models move
    moves name note notes observed of often on online or outcome outcomes outlook over past percent period price
    quantile quantiles range record records reference regime replay replays reports return returns says seal session
    sessions share shares source sources spread state stated states store strategy symbol target that the their these
    they this those time times to under unit units until use used uses value values volatility walk-forward was weighs
    weight weights were when where which while width with within
    """.split()  # noqa: SIM905 - a paragraph can be read
)

ALLOWED = PLAIN | RISING | FALLING

MARKS = frozenset(" .,;:()-/+=%")
"""Characters outside words, numbers and quotations; no markup, no control character, nothing beyond ASCII."""
