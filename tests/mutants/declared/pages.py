"""Pages for readers: no command is named that there is not."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        "page-names-a-verb-that-was-renamed",
        "Each verb of `quantlake` that a page names exists.",
        "dagster_project/commands/keys.py",
        '@app.command("list")',
        '@app.command("all")',
        ("tests/architecture/test_named_commands.py::test_every_command_exists_with_its_options",),
    ),
)
