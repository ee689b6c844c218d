"""A job of the endpoint that writes an explanation: how far it is, its text, and cancelling it."""

from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.responses import RedirectResponse

from lake.errors import QuantlakeError, UnknownNameError
from serving.pages.rendering import failure_page, root_of
from serving.pages.routes.forms import Form, of_own_pages
from serving.pages.routes.frame import Visit
from serving.pages.views.panels import panel_of
from serving.pages.views.words import job_view

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.pages.dashboard import Dashboard
    from serving.pages.login import LoginSession


def show(request: "Request") -> "Response":
    """Show a job as it stands."""
    visit = Visit.of(request)
    job_id = request.path_params["job_id"]
    job = panel_of(lambda: job_view(visit.client.in_words(job_id)))
    return visit.page("job.html", "Explanation", job_id=job_id, job=job)


@of_own_pages
async def cancel(request: "Request", session: "LoginSession", _form: Form) -> "Response":
    """Cancel a job in the visitor's name, and lead back to it; a failed one stays as it is."""
    dashboard: Dashboard = request.app.state.dashboard
    job_id = request.path_params["job_id"]
    try:
        await to_thread.run_sync(partial(_cancel, dashboard, session, job_id))
    except UnknownNameError:
        raise
    except QuantlakeError as error:
        return failure_page(request.scope, error, "Not cancelled")
    return RedirectResponse(f"{root_of(request.scope)}/jobs/{job_id}", 303)


def _cancel(dashboard: "Dashboard", session: "LoginSession", job_id: str) -> None:
    dashboard.endpoint.of(session.caller).cancel_words(job_id)
