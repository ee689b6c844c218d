"""What the leak checks convict: state between calls, moves as large as real ones, leaks that only real bars show."""

from mutant import Mutant

PROCESSES = "tests/test_feature_repo/test_leak_processes.py"
REAL = "tests/test_feature_repo/test_leak_real_bars.py"
IN_ORDER = f"{PROCESSES}::test_truncated_worlds_come_first_and_the_whole_one_last_and_alone"

MUTANTS = (
    Mutant(
        "leaks-whole-world-first",
        "What is computed in one process is computed in truncated worlds first and in the whole one last.",
        "feature_repo/leaks/counterfactuals.py",
        "    others = [(one, answers(one.parts)) for one in counterfactuals]\n"
        "    full = answers([WorldPart(world, KeptRows(time))])\n",
        "    full = answers([WorldPart(world, KeptRows(time))])\n"
        "    others = [(one, answers(one.parts)) for one in counterfactuals]\n",
        ("tests/test_feature_repo/test_leaks.py::test_truncated_worlds_are_computed_before_the_whole_one",),
    ),
    Mutant(
        "leaks-users-whole-world-first",
        "A user's functions are computed in truncated worlds first and in the whole one last.",
        "feature_repo/leaks/user_check.py",
        "    answered = [(one, processes.answers(names, one.parts)) for one in others]\n",
        "    processes.twice(names, WorldPart(world, EVERYTHING))\n"
        "    answered = [(one, processes.answers(names, one.parts)) for one in others]\n",
        (IN_ORDER,),
    ),
    Mutant(
        "leaks-one-process-for-all-worlds",
        "A user's functions are computed in fresh processes.",
        "feature_repo/leaks/user_check.py",
        "    answered = [(one, processes.answers(names, one.parts)) for one in others]\n",
        "    from feature_repo.leaks.counterfactuals import in_this_process\n\n"
        "    here = {function.name: in_this_process(function.compute) for function in functions}\n"
        "    answered = [(one, {name: answers(one.parts) for name, answers in here.items()}) for one in others]\n",
        (IN_ORDER,),
    ),
    Mutant(
        "leaks-features-of-a-file-in-one-process",
        "A user's features are computed in fresh processes.",
        "feature_repo/leaks/user_check.py",
        "found = check(subject, world, replayed=replayed, answers=answers)",
        "found = check(subject, world, replayed=replayed)",
        (f"{PROCESSES}::test_a_feature_of_a_file_that_is_fitted_on_the_first_call_is_caught",),
    ),
    Mutant(
        "leaks-declared-in-one-process",
        "`quantlake leaks` computes what is registered in fresh processes.",
        "dagster_project/commands/leaks.py",
        "check(subject, answers=processes.answers_of(subject.name))",
        "check(subject)",
        ("tests/test_dagster_project/test_leak_checks.py::test_what_is_registered_is_computed_in_fresh_processes",),
    ),
    Mutant(
        "leaks-second-call-not-looked-at",
        "What a function keeps from one call and uses in the next is told.",
        "feature_repo/leaks/user_check.py",
        "        leaks += differences(first, again, CALLED_AGAIN,",
        "        leaks += differences(first, first, CALLED_AGAIN,",
        (f"{PROCESSES}::test_what_differs_from_the_second_call_on_is_said",),
    ),
    Mutant(
        "leaks-files-left-behind",
        "What a function writes to disk is gone before the next process begins.",
        "feature_repo/leaks/fork_server.py",
        "        traces.remove()\n",
        "",
        (
            f"{PROCESSES}::test_what_a_function_writes_is_gone_and_what_was_there_stays",
            f"{PROCESSES}::test_state_kept_between_calls_is_caught",
        ),
    ),
    Mutant(
        "leaks-moves-small-again",
        "The trial market moves as far as real ones do.",
        "feature_repo/leaks/world.py",
        "MOVES = (-0.6, 1.5, -0.4, 2 / 3, -0.2, 0.25, -0.12, 0.12)",
        "MOVES = (-0.12, 0.12)",
        (f"{REAL}::test_the_trial_market_moves_as_far_as_real_ones_do",),
    ),
    Mutant(
        "leaks-no-real-bars",
        "A user's functions are computed on real bars too.",
        "feature_repo/leaks/user_check.py",
        "for one in (real.others() if real else ())]",
        "for one in ()]",
        (f"{REAL}::test_a_leak_that_the_trial_market_cannot_show_is_caught_on_real_bars",),
    ),
    Mutant(
        "leaks-real-moves-left-out",
        "Real bars are replayed at the largest fall and rise of each symbol.",
        "feature_repo/leaks/real_bars.py",
        "at = sorted({*self.moves, *self.newest})",
        "at = sorted({*self.newest})",
        (f"{REAL}::test_a_leak_that_the_trial_market_cannot_show_is_caught_on_real_bars",),
    ),
    Mutant(
        "leaks-lake-read-past-now",
        "The real bars of a home are those known at the market's now.",
        "feature_repo/leaks/real_bars.py",
        "named_as_generated(lake.read_as_of(BARS, now), index)\n",
        "named_as_generated(lake.read(BARS), index)\n",
        (f"{REAL}::test_bars_of_the_lake_are_taken_as_known_now",),
    ),
)
