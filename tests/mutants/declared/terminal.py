"""The command line: nothing that must be copied is cut, no secret is shown, a misspelt setting is refused."""

from mutant import Mutant

TABLES = "tests/test_dagster_project/test_tables.py"
SETTINGS = "tests/test_lake/test_setting_list.py"
PREDICT = "tests/test_dagster_project/test_predict_command.py"
KEYS = "tests/test_dagster_project/test_access_commands.py"
RESULTS = "tests/test_dagster_project/test_results_for_programs.py"
MIXING = "tests/test_feature_repo/test_leak_user_files.py"

MUTANTS = (
    Mutant(
        "terminal-table-wider-than-the-terminal",
        "A table that does not fit leaves out columns, and becomes lines where that is not enough.",
        "dagster_project/commands/shell/tables.py",
        "        while _total(spans[column.name][0] for column in shown) > width:\n",
        "        while _total(spans[column.name][0] for column in shown) > 2 * width:\n",
        (f"{TABLES}::test_a_table_fits_and_cuts_nothing_that_must_be_copied",),
    ),
    Mutant(
        "terminal-hidden-columns-untold",
        "A table says which columns it left out.",
        "dagster_project/commands/shell/tables.py",
        "        if hidden := [column.title for column in self.columns if column not in shown]:\n",
        "        if hidden := []:\n",
        (f"{TABLES}::test_columns_of_a_high_rank_go_first_and_the_table_says_so",),
    ),
    Mutant(
        "terminal-null-as-text",
        "JSON has null for what is not known, and no text in its place.",
        "dagster_project/commands/shell/output.py",
        "        print_json(table.records() if document is None else document)\n",
        "        print_json([{name: str(value) for name, value in row.items()} for row in table.records()])\n",
        (f"{TABLES}::test_values_for_a_program_keep_their_types",),
    ),
    Mutant(
        "terminal-password-in-an-address",
        "No password inside an address is shown by `quantlake settings`.",
        "lake/setting_list.py",
        "    return urlunsplit(parts._replace(netloc=f\"{MASK}@{parts.netloc.rpartition('@')[2]}\"))\n",
        "    return urlunsplit(parts)\n",
        (f"{SETTINGS}::test_no_secret_is_shown",),
    ),
    Mutant(
        "terminal-misspelt-setting-ignored",
        "A variable that begins with QUANTLAKE_ and is no setting is refused.",
        "lake/settings.py",
        "    _refuse_unknown_variables()\n",
        "",
        (f"{SETTINGS}::test_a_misspelt_variable_is_refused_with_the_nearest",),
    ),
    Mutant(
        "terminal-predict-stops-at-the-first-unknown",
        "Every symbol that cannot be answered is named, and the others are answered.",
        "dagster_project/commands/predict.py",
        "        except (UnknownNameError, NotReadyError) as error:\n            failed[symbol] = error\n",
        "        except (UnknownNameError, NotReadyError) as error:\n            failed = {symbol: error}\n",
        (f"{PREDICT}::test_of_several_symbols_those_known_are_answered_at_once_and_every_other_is_named",),
    ),
    Mutant(
        "terminal-progress-among-results",
        "With --json or --csv nothing but the result is on standard output, also of what a child process prints.",
        "dagster_project/commands/shell/streams.py",
        "    os.dup2(STDERR, STDOUT)\n",
        "",
        (f"{RESULTS}::test_what_a_run_prints_is_beside_its_result_for_a_program",),
    ),
    Mutant(
        "terminal-shows-the-local-key",
        "`quantlake serve` shows the key of this machine only where that is asked for.",
        "dagster_project/servers/endpoint.py",
        "    key = local_key(settings) if shows_key else ",
        "    key = local_key(settings) if local_key(settings) else ",
        (f"{KEYS}::test_the_question_to_paste_sends_the_key_and_shows_it_only_where_that_is_asked",),
    ),
    Mutant(
        "terminal-look-ahead-told-as-mixing",
        "A function that mixes symbols and looks ahead as well is a leak.",
        "feature_repo/leaks/mixing.py",
        "    return frozenset(suspects) - {*ahead} - {leak.column for leak in changed}\n",
        "    return frozenset(suspects)\n",
        (f"{MIXING}::test_a_function_that_mixes_symbols_and_looks_ahead_as_well_leaks",),
    ),
)
