"""What a model may know at a time: point-in-time joins, labels, windows, the online store."""

from mutant import Mutant

LABELS = "tests/test_feature_repo/test_labels_and_regimes.py"

MUTANTS = (
    Mutant(
        "join-sees-the-future",
        "A point-in-time join uses a row only from when it was known.",
        "feature_repo/feast_store/point_in_time.py",
        "pl.max_horizontal(EVENT, KNOWN).alias(USABLE)",
        "pl.col(EVENT).alias(USABLE)",
        ("tests/test_feature_repo/test_point_in_time.py::test_the_join_answers_like_the_oracle",),
    ),
    Mutant(
        "join-ignores-time-to-live",
        "A value older than its time to live is null in a training frame.",
        "feature_repo/feast_store/point_in_time.py",
        "pl.lit(value=True) if ttl is None else",
        "pl.lit(value=True) if True else",
        ("tests/test_feature_repo/test_point_in_time.py::test_the_join_answers_like_the_oracle",),
    ),
    Mutant(
        "offline-store-sees-the-future",
        "The offline store materialises only what was known at the end of the interval.",
        "feature_repo/feast_store/offline_store.py",
        'rows.filter(pl.col("event_time") <= at, pl.col("known_time") <= at)',
        'rows.filter(pl.col("event_time") <= at)',
        ("tests/test_feature_repo/test_offline_store.py::test_the_latest_rows_are_those_known_at_the_end",),
    ),
    Mutant(
        "label-known-too-early",
        "A label is known when its horizon has ended, and later where a bar of it was restated.",
        "feature_repo/targets/labels.py",
        'pl.max_horizontal(later["event_time"], *known).alias("known_time")',
        'pl.col("known_time")',
        (f"{LABELS}::test_a_restated_bar_makes_its_labels_known_later",),
    ),
    Mutant(
        "regime-known-too-early",
        "A regime is known no earlier than every bar up to its close.",
        "feature_repo/regimes/daily.py",
        'latest.with_columns(pl.col("known_time").cum_max())',
        "latest",
        (f"{LABELS}::test_a_restated_bar_makes_all_regimes_from_it_on_known_later",),
    ),
    Mutant(
        "training-frame-sees-the-future",
        "A training frame asks for sessions that are known by now.",
        "feature_repo/feast_store/training_frames.py",
        'filter(pl.col("event_time") <= now, pl.col("known_time") <= now)',
        'filter(pl.col("event_time") <= now)',
        ("tests/test_feature_repo/test_training_frames.py::test_a_session_that_is_known_later_is_not_asked_for_yet",),
    ),
    Mutant(
        "window-without-scale",
        "A window exists only where the scale is known at each of its sessions.",
        "feature_repo/targets/windows.py",
        "(scale_run == spec.sessions)",
        "(scale_run >= 1)",
        ("tests/test_feature_repo/test_windows.py::test_a_window_exists_exactly_where_the_scale_is_known_throughout",),
    ),
    Mutant(
        "regime-smoothed",
        "A regime's probability at a session follows from the sessions up to it.",
        "feature_repo/regimes/hidden_markov.py",
        "            rows[session] = believed\n",
        "            rows[max(0, session - 1)] = believed\n",
        ("tests/test_feature_repo/test_hidden_markov.py::test_no_later_session_changes_a_probability",),
    ),
    Mutant(
        "online-older-row-wins",
        "An older row never takes the place of a newer one in the online store.",
        "feature_repo/online/generations.py",
        "return (event > held_event) | ((event == held_event) & (known >= held_known))",
        "return (event == event) & (known == known)",
        ("tests/test_feature_repo/test_generations.py::test_a_row_replaces_what_is_not_newer",),
    ),
    Mutant(
        "online-generation-unchecked",
        "Rows that go on from a generation are refused where the server holds another.",
        "feature_repo/online/generations.py",
        "if expected is not None and last != expected:",
        "if False:",
        ("tests/test_feature_repo/test_online_failures.py::test_a_server_that_is_emptied_each_time_is_said",),
    ),
    Mutant(
        "online-expired-as-fresh",
        "A row of the online store past its time to live is served as expired.",
        "feature_repo/online/reader.py",
        "windows, strategies, regimes = (part.event < at for part",
        "windows, strategies, regimes = (part.event < 0 for part",
        ("tests/test_feature_repo/test_online_failures.py::test_expired_values_say_so",),
    ),
    Mutant(
        "parity-blind",
        "Every bit in which online and offline store differ is reported.",
        "feature_repo/online/parity.py",
        "for name, lake_value, held in pairs if lake_value != held]",
        "for name, lake_value, held in pairs if (lake_value is None) != (held is None)]",
        ("tests/test_feature_repo/test_parity.py::test_one_bit_of_one_value_is_named_with_its_symbol_and_feature",),
    ),
)
