"""Homes: whole, private, one job at a time, backed up."""

from mutant import Mutant

DIGESTS = "tests/test_lake/test_digests.py"
BACKUP = "tests/test_lake/test_backup.py"
DOCTOR = "tests/test_dagster_project/test_doctor_command.py"
RUN_STORAGE = "tests/test_dagster_project/test_run_storage.py"
PRIVATE = "tests/test_dagster_project/test_private_home.py"

MUTANTS = (
    Mutant(
        "data-file-unverified",
        "Rows of a data file whose bytes changed since they were written are refused.",
        "lake/store/digests.py",
        "    if wrong:\n        path, found",
        "    if False:\n        path, found",
        (f"{DIGESTS}::test_every_way_to_read_refuses_a_flipped_bit",),
    ),
    Mutant(
        "lost-commit-unnoticed",
        "A table whose log lost its newest entry is refused.",
        "lake/store/snapshots.py",
        "commits.require_complete(self._folder, since, snapshot.version)",
        "pass",
        (f"{DIGESTS}::test_a_log_that_lost_its_newest_entry_is_refused_and_named",),
    ),
    Mutant(
        "altered-log-unnoticed",
        "A table whose log was altered is refused.",
        "lake/store/commits.py",
        "for file in altered(folder, known, range(first, version + 1)):",
        "for file in altered(folder, known, range(0)):",
        (f"{DIGESTS}::test_a_flipped_bit_of_the_log_is_refused_and_repaired",),
    ),
    Mutant(
        "job-lock-not-shared",
        "Two jobs are never at work in one home at once.",
        "lake/disk/locks.py",
        "FileLock(home / LOCK, thread_local=False)",
        'FileLock(home / f"{os.getpid()}.{LOCK}", thread_local=False)',
        ("tests/test_lake/test_locks.py::test_the_second_job_names_the_first_and_waits",),
    ),
    Mutant(
        "new-files-open-to-others",
        "Files and folders of a home are closed to other users when they are made.",
        "lake/disk/private.py",
        "os.umask(OTHERS)",
        "os.umask(0o022)",
        (f"{PRIVATE}::test_a_home_that_the_commands_make_is_closed",),
    ),
    Mutant(
        "old-home-stays-open",
        "What other users may enter of a home that was made before is closed.",
        "lake/disk/private.py",
        "sum(_close(path, user) for top in tops for path in _all(top))",
        "sum(_close(path, user) for top in tops for path in _all(top)[:0])",
        (f"{PRIVATE}::test_an_old_home_is_closed_once_with_one_line",),
    ),
    Mutant(
        "restored-unverified",
        "A backup with an altered content is never restored.",
        "lake/care/backup/restoring.py",
        'return "" if found == digest else',
        'return "" if found else',
        (f"{BACKUP}::test_a_damaged_content_is_named_and_nothing_is_restored",),
    ),
    Mutant(
        "manifest-unsealed",
        "A backup whose manifest was edited is refused.",
        "lake/care/backup/manifest.py",
        "if not manifest.is_sealed() or manifest.id != backup_id:",
        "if manifest.id != backup_id:",
        (f"{BACKUP}::test_an_edited_manifest_is_refused_and_the_others_are_still_listed",),
    ),
    Mutant(
        "backup-leaves-the-home",
        "No file of a backup is written outside the home that is restored.",
        "lake/care/backup/manifest.py",
        'if not parts or PurePosixPath(path).is_absolute() or ".." in parts:',
        "if not parts:",
        (f"{BACKUP}::test_a_path_that_leaves_the_home_is_refused_though_it_is_sealed",),
    ),
    Mutant(
        "backup-copies-logs-last",
        "A forecast that is drained during a backup is in the backup's log or in its tables.",
        "lake/care/backup/contents.py",
        'LATER = ("dagster/*",',
        'LATER = ("forecast_log*.sqlite", "dagster/*",',
        ("tests/test_lake/test_backup_meanwhile.py::test_copying_tables_before_the_logs_would_lose_forecasts",),
    ),
    Mutant(
        "copied-home-writes-into-the-old",
        "A home that was copied or moved writes no artefact into the home it came from.",
        "training/tracking/addresses.py",
        "if not _has_experiments(connection) or not _stale(connection, root):",
        "if True:",
        ("tests/test_training/test_artifact_addresses.py::test_a_copied_home_writes_nothing_into_the_original",),
    ),
    Mutant(
        "doctor-passes-over-clocks",
        "The doctor names a damaged market clock with a remedy that ends it.",
        "dagster_project/checks/health/__init__.py",
        '    Check("market clock", market_clock.market_clock),\n',
        "",
        (f"{DOCTOR}::test_several_damages_are_all_named_and_a_check_that_fails_stops_no_other",),
    ),
    Mutant(
        "events-of-a-run-wait-for-its-end",
        "A killed command leaves every event of its run up to where it was.",
        "dagster_project/runs/run_storage.py",
        "            with engine.begin() as connection:\n",
        "            with engine.connect() as connection:\n",
        (f"{RUN_STORAGE}::test_a_killed_command_loses_no_event",),
    ),
    Mutant(
        "configuration-of-an-earlier-release-is-kept",
        "A home of an earlier release gets the configuration of the runs of commands of this one.",
        "dagster_project/runs/dagster_home.py",
        'if not path.exists() or path.read_text(encoding="utf-8") != configuration:',
        "if not path.exists():",
        (f"{RUN_STORAGE}::test_the_file_of_an_earlier_release_is_brought_up_to_date",),
    ),
)
