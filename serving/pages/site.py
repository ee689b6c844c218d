"""The documentation site at ``/docs/`` of the dashboard, where ``make site`` has built it.

Its theme has scripts and styles within its pages. Each page permits exactly those that it holds, by their digests.
"""

import base64
import hashlib
import re
from functools import lru_cache
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from serving.pages.headers import CONTENT_SECURITY_POLICY

if TYPE_CHECKING:
    import os

    from starlette.responses import Response
    from starlette.types import Scope

SITE = Path(__file__).parents[2] / "site"
INLINE = {name: re.compile(rf"<{name}(?![^>]*\ssrc=)[^>]*>(.*?)</{name}>", re.DOTALL) for name in ("script", "style")}
ATTRIBUTE = re.compile(r'<[^>]*\sstyle="([^"]*)"')
"""A style of one element, as the theme hides its icons until they are used."""


class SiteFiles(StaticFiles):
    """Files of the site; a folder is answered with its index.

    Parameters
    ----------
    folder
        Where the site lies, or will.
    """

    def __init__(self, folder: Path = SITE) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)

    async def check_config(self) -> None:
        """Refuse as for a page that there is not, where the site was not built: its folder is no fault."""
        try:
            await super().check_config()
        except RuntimeError as error:
            raise HTTPException(404) from error

    def file_response(
        self,
        full_path: "str | os.PathLike[str]",
        stat_result: "os.stat_result",
        scope: "Scope",
        status_code: int = 200,
    ) -> "Response":
        """Return a file, asked for anew each time; a page with the policy that permits what it holds."""
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["cache-control"] = "no-cache"
        if str(full_path).endswith(".html"):
            answer.headers["content-security-policy"] = _policy_of(str(full_path), stat_result.st_mtime_ns)
        return answer


def is_built() -> bool:
    """Whether there is a site to link to."""
    return (SITE / "index.html").is_file()


@lru_cache(maxsize=1_000)
def _policy_of(path: str, _changed: int) -> str:
    """Return the content security policy of a page: that of the dashboard, and the page's own scripts and styles."""
    policy, text = CONTENT_SECURITY_POLICY, Path(path).read_text(encoding="utf-8")
    of_elements = {_source(unescape(content)) for content in ATTRIBUTE.findall(text)}
    for name, pattern in INLINE.items():
        sources = {_source(content) for content in pattern.findall(text)}
        if name == "style" and of_elements:
            # The digests of attributes count with this word alone; it permits no attribute that is not among them.
            sources |= {"'unsafe-hashes'", *of_elements}
        held = " ".join(sorted(sources))
        policy = policy.replace(f"{name}-src 'self'", f"{name}-src 'self' {held}".rstrip())
    return policy


def _source(content: str) -> str:
    digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
    return f"'sha256-{digest}'"
