"""The online store: what may be served of it, and who may reach it."""

from mutant import Mutant

SEALS = "tests/test_feature_repo/test_seals.py"
DAMAGE = "tests/test_feature_repo/test_online_damage.py"
WRONG_VALUE = f"{DAMAGE}::test_a_value_that_is_not_what_was_stored_is_noticed_flagged_counted_and_mended"
CLOSED = "tests/test_feature_repo/test_redis_server_closed.py"
CONFIGURATION = "feature_repo/online/redis_server/configuration.py"

MUTANTS = (
    Mutant(
        "damage-beside-news-stays",
        "Rows of the online store that a materialisation does not replace are verified before it goes on from them.",
        "feature_repo/retrieval.py",
        "if held is not None and not is_whole(server, key, held.number, rows):",
        "if False:",
        ("tests/test_feature_repo/test_online_failures.py::test_a_row_that_was_lost_beside_news_is_written_again[S3]",),
    ),
    Mutant(
        "seal-accepts-anything",
        "A value of the online store whose seal does not fit it is not served.",
        "feature_repo/online/seals.py",
        "and compare_digest(self._seal(name, memoryview(value)[:-SEAL_BYTES]), value[-SEAL_BYTES:])",
        "and bool(self._seal(name, memoryview(value)[:-SEAL_BYTES]))",
        (f"{SEALS}::test_a_seal_fits_one_key_one_name_and_one_content",),
    ),
    Mutant(
        "seal-fits-any-name",
        "A value of the online store in the place of another is not served.",
        "feature_repo/online/seals.py",
        'len(encoded).to_bytes(4, "little") + encoded, digest_size',
        'len(encoded[:0]).to_bytes(4, "little"), digest_size',
        (f"{SEALS}::test_a_seal_fits_one_key_one_name_and_one_content",),
    ),
    Mutant(
        "online-replay-unchecked",
        "An older value of the online store, though sealed, is not served in the place of the newest.",
        "feature_repo/online/verification.py",
        "return loaded.generation is not None and loaded.generation.number == generation.number",
        "return False",
        (f"{WRONG_VALUE}[the value of yesterday]",),
    ),
    Mutant(
        "online-fallback-unchecked",
        "A server that came back from an old copy is not served.",
        "feature_repo/online/verification.py",
        "if loaded and loaded.generation and generation.number < loaded.generation.number:",
        "if False:",
        (f"{DAMAGE}::test_what_is_lost_or_brought_back_is_noticed_flagged_and_mended[everything of yesterday]",),
    ),
    Mutant(
        "online-never-repaired",
        "What a reader finds wrong in the online store is repaired from the tables.",
        "feature_repo/online/source.py",
        "self._repairer.request(problem.keys)",
        "pass",
        (f"{DAMAGE}::test_a_value_for_somebody_whom_the_tables_do_not_know_is_removed",),
    ),
    Mutant(
        "online-key-open-to-others",
        "A key of the seals that other users may read is refused.",
        "lake/disk/key_files.py",
        "if mode & OTHERS:",
        "if False:",
        (f"{CLOSED}::test_a_key_file_that_is_no_secret_is_refused_and_named",),
    ),
    Mutant(
        "redis-any-command",
        "A client of the embedded server can do nothing but what the platform needs.",
        CONFIGURATION,
        "~* -@all {allowed}",
        "~* -@all {allowed} +@all",
        (f"{CLOSED}::test_a_client_can_do_nothing_but_what_the_platform_needs",),
    ),
    Mutant(
        "redis-password-guessed",
        "The embedded server answers nobody without a password that cannot be guessed.",
        CONFIGURATION,
        "password = secrets.token_urlsafe(32)",
        'password = "guessed"',
        (f"{CLOSED}::test_without_the_password_nothing_is_answered",),
    ),
    Mutant(
        "redis-socket-open-to-others",
        "The socket of the embedded server is its owner's alone.",
        CONFIGURATION,
        '"unixsocketperm": "600"',
        '"unixsocketperm": "666"',
        (f"{CLOSED}::test_folders_and_files_are_for_their_owner_alone",),
    ),
    Mutant(
        "redis-password-open-to-others",
        "The file with the password of the embedded server is its owner's alone.",
        CONFIGURATION,
        "write_private(places.password, password)",
        'places.password.write_text(password, encoding="utf-8")',
        (f"{CLOSED}::test_folders_and_files_are_for_their_owner_alone",),
    ),
    Mutant(
        "feast-records-days-to-come",
        "Feast materialises, and records as materialised, nothing later than the market's now.",
        "feature_repo/feast_store/provider.py",
        "if require_utc(end) > now:",
        "if False:",
        (
            "tests/test_feature_repo/test_online_store.py::test_feast_materialises_nothing_that_is_later_than_the_markets_now",
        ),
    ),
)
