"""Token routes: a token for an API key, and the public keys that verify tokens."""

import time
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request, Response

from serving.access.signing import TOKEN_SECONDS
from serving.api import KeySet, TokenAnswer, problem_kinds
from serving.web.http import problems

if TYPE_CHECKING:
    from serving.access.checks import Access
    from serving.api import Caller

PREFIX = "/api/v1/public"


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.post(f"{PREFIX}/token", tags=["access"], response_model=TokenAnswer)
    def token(request: Request) -> Response:
        """Swap an API key for a token that ends in an hour; a token is not swapped for a longer life."""
        access: Access = request.app.state.access
        caller: Caller = request.state.caller
        if caller.via == "token":
            detail = "A token cannot be swapped for another one, or it would never end."
            return problems.respond(problem_kinds.FORBIDDEN, detail, request.scope, hint="Send the API key itself.")
        seconds = int(min(TOKEN_SECONDS, caller.expires_at - time.time()))
        answer = TokenAnswer(
            access_token=access.issue(caller), expires_in=max(1, seconds), role=caller.role, tier=caller.tier
        )
        return Response(answer.model_dump_json(), media_type="application/json", headers={"cache-control": "no-store"})

    @app.get("/.well-known/jwks.json", tags=["access"])
    def key_set(request: Request) -> KeySet:
        """Return the public keys that tokens are checked with (RFC 7517)."""
        access: Access = request.app.state.access
        return KeySet.model_validate(access.key_set())
