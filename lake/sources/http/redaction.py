"""Keys stay out of logs, errors and tables."""

import logging
import re
from urllib.parse import quote, quote_plus

HIDDEN = "***"
KEY_IN_QUERY = re.compile(r"(?i)\b(api_?key|token|secret|password)=[^&\s'\"]+")


def redact(text: str, secret: str | None) -> str:
    """Return a text without the secret, in whatever form it stands there, and without any key of a query.

    Examples
    --------
    >>> redact("GET /query?symbol=IBM&apikey=abc/1 (key abc/1, abc%2F1)", "abc/1")
    'GET /query?symbol=IBM&apikey=*** (key ***, ***)'
    """
    if secret:
        for form in {secret, quote(secret, safe=""), quote_plus(secret)}:
            text = text.replace(form, HIDDEN)
    return KEY_IN_QUERY.sub(rf"\1={HIDDEN}", text)


def silence_address_logs() -> None:
    """Hold the loggers that write whole addresses, query and key included, at WARNING; httpx does so at INFO."""
    for name in ("httpx", "httpcore"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.WARNING))
