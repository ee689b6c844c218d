"""What is proposed for a file: each choice with its evidence, what is open, what would be loaded and refused."""

from dataclasses import dataclass
from datetime import date

from lake.errors import ConfigError
from lake.sources.files.mapping import FileMapping


@dataclass(frozen=True)
class FieldChoice:
    """One field of the mapping, its value, and what in the file speaks for it.

    `is_assumed` marks what a file cannot say: it is worth a look before the mapping is kept.
    """

    field: str
    value: str | None
    evidence: str
    is_assumed: bool = False


@dataclass(frozen=True)
class OpenQuestion:
    """What the file leaves open, and the options of which each would settle it, e.g. ``day_first=true``."""

    field: str
    text: str
    options: tuple[str, ...]

    def __str__(self) -> str:
        """Return the question as one sentence with its options."""
        return f"{self.text} Say {' or '.join(self.options)}."


@dataclass(frozen=True)
class SymbolSpan:
    """One canonical symbol: its good rows, their first and last day, and the spellings that the file has for it."""

    symbol: str
    first: date
    last: date
    rows: int
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class RefusedRows:
    """Rows that would be refused for one reason, with the first of them as an example."""

    reason: str
    rows: int
    example: str


@dataclass(frozen=True)
class FileProposal:
    """How a file would be read, and what would come of it.

    Parameters
    ----------
    file
        Name of the file, without its folder.
    mapping
        None while a question is open.
    questions
        Each names the options that settle it; asked again with one of them, `inspect_file` goes on.
    symbols, loaded, refused
        What the mapping would load and refuse, of all `loaded` plus refused rows; empty while a question is open.
    notes
        Sentences on what was found besides, e.g. symbols of two spellings.
    """

    file: str
    mapping: FileMapping | None
    choices: tuple[FieldChoice, ...]
    questions: tuple[OpenQuestion, ...]
    symbols: tuple[SymbolSpan, ...] = ()
    loaded: int = 0
    refused: tuple[RefusedRows, ...] = ()
    notes: tuple[str, ...] = ()

    def settled(self) -> FileMapping:
        """Return the mapping.

        Raises
        ------
        ConfigError
            While a question is open, with every question.
        """
        if self.mapping is None:
            open_ones = " ".join(str(question) for question in self.questions)
            raise ConfigError(f"{self.file} leaves something open, and nothing is guessed. {open_ones}")
        return self.mapping
