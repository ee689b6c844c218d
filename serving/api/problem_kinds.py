"""Every kind of problem document, declared: status, title, meaning, remedy."""

from dataclasses import dataclass

from lake.errors import UnknownNameError

PREFIX = "/problems"


@dataclass(frozen=True)
class Kind:
    """One kind of problem.

    Parameters
    ----------
    slug
        Last part of its address, which is its `type`.
    status
        HTTP status it comes with.
    title, meaning
        A few words, and a sentence or two for its page.
    hint
        What a client can do, where the occurrence says nothing better.
    retry_seconds
        After how long asking again makes sense; None where the same request would fail again.
    """

    slug: str
    status: int
    title: str
    meaning: str
    hint: str
    retry_seconds: int | None = None

    @property
    def type(self) -> str:
        """Path of the page that explains it."""
        return f"{PREFIX}/{self.slug}"


BAD_REQUEST = Kind(
    "bad-request",
    400,
    "Bad request",
    "The request is not HTTP that this service can read.",
    "GET /docs lists every route.",
)
UNAUTHENTICATED = Kind(
    "unauthenticated",
    401,
    "Who asks is not known",
    "The request carries no key or token, or one that is not valid: unknown, revoked, expired, or signed for another "
    "service.",
    "Send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'; `quantlake keys create` makes a key.",
)
FORBIDDEN = Kind(
    "forbidden",
    403,
    "Not allowed",
    "The key is valid, and its role does not reach this route.",
    "Ask for a key with the role that the detail names: `quantlake keys create --role ROLE`.",
)
UNKNOWN_SYMBOL = Kind(
    "unknown-symbol",
    404,
    "Unknown symbol",
    "No instrument of that name is in the universe. Names are upper case; the nearest ones are listed.",
    "GET /api/v1/public/symbols lists every symbol.",
)
UNKNOWN_PREDICTION = Kind(
    "unknown-prediction",
    404,
    "Unknown prediction",
    "Neither the forecast log nor the table `forecasts` holds an answer of that id.",
    "Ids are in the answers.",
)
UNKNOWN_RECOMMENDATION = Kind(
    "unknown-recommendation",
    404,
    "Unknown recommendation",
    "Neither the recommendation log nor the table `recommendations` holds one of that id that was asked for with this "
    "key.",
    "Ids are in the answers of POST /api/v1/public/recommend; an operator reads those of every key.",
)
UNKNOWN_MODEL = Kind(
    "unknown-model",
    404,
    "Unknown model",
    "No model of that name is in service, or the files of that version of it were never placed here.",
    "GET /api/v1/public/models/status names the models; `quantlake models status` their versions.",
)
UNKNOWN_SOURCE = Kind(
    "unknown-source",
    404,
    "Unknown source",
    "The market of this home has no source of that name.",
    "GET /api/v1/internal/ingest/status lists the sources of the market.",
)
UNKNOWN_KEY = Kind(
    "unknown-key",
    404,
    "Unknown key",
    "No API key of that id was made in this home, or it was deleted.",
    "GET /api/v1/internal/admin/keys lists the keys with their ids.",
)
UNKNOWN_PORTFOLIO = Kind(
    "unknown-portfolio",
    404,
    "Unknown portfolio",
    "No portfolio of that name had weights by the instant that was asked about.",
    "`quantlake portfolio list` names those that had.",
)
UNKNOWN_PROBLEM = Kind(
    "unknown-problem",
    404,
    "Unknown problem",
    "There is no kind of problem of that name.",
    "GET /problems lists them all.",
)
UNKNOWN_EXPLANATION = Kind(
    "unknown-explanation",
    404,
    "Unknown explanation",
    "No job of that id writes an explanation, or none was asked for of that symbol. Jobs can be looked up for an hour.",
    "POST /api/v1/public/explanations/{symbol} asks for one.",
)
EXPLANATION_FAILED = Kind(
    "explanation-failed",
    410,
    "Explanation failed",
    "The job ended without an explanation, or was lost with the process that worked on it; the detail says why.",
    "Ask for it again: POST /api/v1/public/explanations/{symbol} starts another job.",
)
UNKNOWN_ROUTE = Kind(
    "unknown-route", 404, "No such route", "Nothing is served at that path.", "GET /docs lists every route."
)
WRONG_METHOD = Kind(
    "wrong-method",
    405,
    "Method not allowed",
    "The path exists and is asked in another way; the header `Allow` says how.",
    "GET /docs lists every route.",
)
NOT_READY = Kind(
    "not-ready",
    409,
    "Not ready",
    "What was asked for exists in principle and has not been made yet: a symbol without a model input, a market whose "
    "regime is not known, no strategy selected. Nothing is made up in its place.",
    "The next run of the market brings features and strategies up to date: `quantlake run`, or `quantlake advance` "
    "of a replayed one.",
)
TOO_SLOW = Kind(
    "request-too-slow",
    408,
    "Request too slow",
    "The request was not there in full within the time that one may take, and the connection was closed.",
    "Send the whole request at once.",
)
MODEL_REFUSED = Kind(
    "model-refused",
    409,
    "Model refused",
    "The version that was to answer, or to be on trial, fails a check; what was in service still is.",
    "Export, prove and register the model again.",
)
TOO_LARGE = Kind(
    "body-too-large",
    413,
    "Body too large",
    "The body of the request is larger than the bound, and was not read to its end.",
    "Ask for at most 5,000 symbols at a time.",
)
NOT_JSON = Kind(
    "not-json",
    415,
    "Not sent as JSON",
    "The body was not announced as JSON, so it was not read as such.",
    "Send the header 'content-type: application/json'.",
)
WRONG_HOST = Kind(
    "wrong-host",
    421,
    "Wrong host",
    "The header `Host` names another host than this endpoint, or is missing, so the request was not meant for it: a "
    "page of a stranger can lead a browser here under a name of its own.",
    "Ask under a name that the detail lists. Behind a proxy, name the host in QUANTLAKE_ALLOWED_HOSTS and start anew.",
)
ENCODED = Kind(
    "encoded-body",
    415,
    "Body encoded",
    "The body was sent with a `Content-Encoding`, e.g. gzip, and only plain bodies are read: what a small body unpacks "
    "to has no bound.",
    "Send the body as it is, without the header 'content-encoding'.",
)
HEAD_TOO_LARGE = Kind(
    "head-too-large",
    431,
    "Headers too large",
    "The request's line and headers together are larger than the bound.",
    "Send fewer or shorter headers.",
)
INVALID = Kind(
    "invalid-request",
    422,
    "Invalid request",
    "The request was read and breaks a rule, which the detail names with the place where it is broken. Types are "
    "strict: nothing is guessed or converted.",
    "See /docs.",
)
UNKNOWN_HORIZON = Kind(
    "unknown-horizon",
    422,
    "Unknown horizon",
    "No model in service forecasts over that many sessions.",
    "GET /api/v1/public/models/status names the horizons.",
)
UNKNOWN_FEATURE = Kind(
    "unknown-feature",
    422,
    "Unknown feature",
    "No feature of that name is in the window that the forecast was made from.",
    "GET /api/v1/public/features/schema names the features of the window.",
)
UNKNOWN_REGIME = Kind(
    "unknown-regime",
    422,
    "Unknown regime",
    "Nothing was measured in a regime of that name: there is none, or too few sessions were of it.",
    "Leave `regime` out to ask for all of them together.",
)
TOO_MANY_REQUESTS = Kind(
    "too-many-requests",
    429,
    "Too many requests",
    "The key has used up its limit. The headers `RateLimit-*` and `Retry-After` say how much and until when.",
    "Wait as long as the header Retry-After says.",
    60,
)
INTERNAL = Kind(
    "internal-error",
    500,
    "Internal error",
    "Something happened that nobody has foreseen. The service's log has it under the correlation id.",
    "The service's log says why.",
)
OVERLOADED = Kind(
    "overloaded",
    503,
    "Overloaded",
    "More is asked than can be answered in time, so this request was turned away at once. Nothing was forecast.",
    "Ask again after as long as the header Retry-After says.",
    1,
)
NO_EXPLAINER = Kind(
    "explainer-not-available",
    503,
    "Explainer not available",
    "The process that computes explanations does not answer. It is started again, and forecasts are made meanwhile.",
    "Ask again after as long as the header Retry-After says; where it goes on, the service's log says why.",
    5,
)
ENGINE_REFUSED = Kind(
    "engine-refused",
    503,
    "Engine refused",
    "The inference engine refused its input or gave numbers that cannot be a forecast.",
    "Nothing was forecast. See /api/v1/public/models/status and the service's log.",
    1,
)
NO_MODEL = Kind(
    "model-not-available",
    503,
    "Model not available",
    "No model is in service, or one that the selected strategies use is missing or was altered.",
    "See /api/v1/public/models/status; `quantlake run` (`make demo` of the packaged market) trains and promotes.",
    1,
)
NO_ONLINE_STORE = Kind(
    "online-store-not-available",
    503,
    "Online store not available",
    "Redis does not answer, and the copy of the tables in memory cannot stand in for it yet.",
    "Start it with `make serve`, or check REDIS_URL.",
    1,
)
NO_LOG = Kind(
    "forecast-log-not-available",
    503,
    "Forecast log not available",
    "The forecast could not be written down, and what is not written down is not answered.",
    "Check the disk under QUANTLAKE_HOME; see the service's log.",
    1,
)
NO_LIMITER = Kind(
    "limiter-not-available",
    503,
    "Limiter not available",
    "The request cannot be counted: operators need Redis, which does not answer, or the ledger cannot be written.",
    "Start Redis and check the disk under QUANTLAKE_HOME, or use a key of the tier 'unlimited', which is not counted.",
    1,
)
NO_SELECTION = Kind(
    "selection-not-usable",
    503,
    "Selection not usable",
    "The strategy selection names a strategy that is not declared.",
    "Let the selection run again: the next run of the market does (`quantlake run` or `quantlake advance`).",
    1,
)
NOT_AVAILABLE = Kind(
    "not-available", 503, "Not available", "A part that is needed is not available.", "See the service's log.", 1
)

KINDS: tuple[Kind, ...] = (
    BAD_REQUEST,
    UNAUTHENTICATED,
    FORBIDDEN,
    UNKNOWN_SYMBOL,
    UNKNOWN_PREDICTION,
    UNKNOWN_RECOMMENDATION,
    UNKNOWN_MODEL,
    UNKNOWN_SOURCE,
    UNKNOWN_KEY,
    UNKNOWN_PORTFOLIO,
    UNKNOWN_PROBLEM,
    UNKNOWN_EXPLANATION,
    EXPLANATION_FAILED,
    UNKNOWN_ROUTE,
    WRONG_METHOD,
    TOO_SLOW,
    NOT_READY,
    MODEL_REFUSED,
    TOO_LARGE,
    NOT_JSON,
    WRONG_HOST,
    ENCODED,
    HEAD_TOO_LARGE,
    INVALID,
    UNKNOWN_HORIZON,
    UNKNOWN_FEATURE,
    UNKNOWN_REGIME,
    TOO_MANY_REQUESTS,
    INTERNAL,
    OVERLOADED,
    NO_EXPLAINER,
    ENGINE_REFUSED,
    NO_MODEL,
    NO_ONLINE_STORE,
    NO_LOG,
    NO_LIMITER,
    NO_SELECTION,
    NOT_AVAILABLE,
)


def kind_named(slug: str) -> Kind:
    """Return the kind of that slug; an unknown one raises `UnknownNameError` with the nearest slugs."""
    for kind in KINDS:
        if kind.slug == slug:
            return kind
    raise UnknownNameError("problem", slug, [kind.slug for kind in KINDS])


def kind_of_status(status: int) -> Kind:
    """Return the kind for a status of which nothing else is known."""
    by_status = {400: BAD_REQUEST, 401: UNAUTHENTICATED, 403: FORBIDDEN, 404: UNKNOWN_ROUTE, 405: WRONG_METHOD}
    by_status |= {408: TOO_SLOW, 421: WRONG_HOST, 431: HEAD_TOO_LARGE}
    by_status |= {413: TOO_LARGE, 415: NOT_JSON, 422: INVALID, 429: TOO_MANY_REQUESTS}
    return by_status.get(status, BAD_REQUEST if status < 500 else INTERNAL)  # noqa: PLR2004 - where server errors begin
