"""An analyst's own price file as a source of bars.

`inspect_file` looks at a file and proposes how to read it; `FileMapping` is that reading as a value, for a market's
YAML; `FileSource` gives the rows.
"""

from lake.names import LONGEST_SYMBOL, canonical_symbol, why_refused
from lake.sources.files.inspecting import inspect_file
from lake.sources.files.mapping import FileMapping
from lake.sources.files.proposal import FieldChoice, FileProposal, OpenQuestion, RefusedRows, SymbolSpan
from lake.sources.files.source import FileSource

__all__ = [
    "LONGEST_SYMBOL",
    "FieldChoice",
    "FileMapping",
    "FileProposal",
    "FileSource",
    "OpenQuestion",
    "RefusedRows",
    "SymbolSpan",
    "canonical_symbol",
    "inspect_file",
    "why_refused",
]
