"""The proof that nothing looks ahead: every declared computation under other futures, and planted leaks to test it."""

from feature_repo.leaks.checker import find_leaks, require_causal
from feature_repo.leaks.comparing import Leak
from feature_repo.leaks.processes import FreshProcesses
from feature_repo.leaks.real_bars import RealBars, real_bars
from feature_repo.leaks.report import LeakCheck, as_lines, as_values
from feature_repo.leaks.self_test import SelfTest, self_test, self_test_of_files
from feature_repo.leaks.stored import check_stored, check_stored_anew, note_passed, passed_before
from feature_repo.leaks.subject import LeakSubject, check
from feature_repo.leaks.subjects import declared_subjects, subjects
from feature_repo.leaks.user_check import check_file
from feature_repo.leaks.user_files import subjects_of_file
from feature_repo.leaks.world import World, trial_world

__all__ = [
    "FreshProcesses",
    "Leak",
    "LeakCheck",
    "LeakSubject",
    "RealBars",
    "SelfTest",
    "World",
    "as_lines",
    "as_values",
    "check",
    "check_file",
    "check_stored",
    "check_stored_anew",
    "declared_subjects",
    "find_leaks",
    "note_passed",
    "passed_before",
    "real_bars",
    "require_causal",
    "self_test",
    "self_test_of_files",
    "subjects",
    "subjects_of_file",
    "trial_world",
]
