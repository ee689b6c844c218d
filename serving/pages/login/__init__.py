"""Login of the dashboard: one-time codes, sessions and their cookie, and how often somebody may try."""

from serving.pages.login.attempts import Attempts
from serving.pages.login.codes import CODE_SECONDS, code_path, issue_code, take_code
from serving.pages.login.cookies import SessionCookie
from serving.pages.login.sessions import LoginSession, LoginSessions, SessionAge, is_form_of

__all__ = [
    "CODE_SECONDS",
    "Attempts",
    "LoginSession",
    "LoginSessions",
    "SessionAge",
    "SessionCookie",
    "code_path",
    "is_form_of",
    "issue_code",
    "take_code",
]
