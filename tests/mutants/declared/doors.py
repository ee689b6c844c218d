"""Doors of the home: the gate of the web UIs, the names of the endpoint, processes that end with their parent."""

from mutant import Mutant

GATE = "tests/test_dagster_project/test_gate.py"
HOSTS = "tests/test_serving/test_access_hosts.py"

MUTANTS = (
    Mutant(
        "gate-answers-to-any-host",
        "The web UIs answer to names of this machine only, whoever asks.",
        "serving/access/browsers.py",
        'return len(hosts) == 1 and hosts[0].decode("latin-1").lower() in own_hosts(port)',
        "return len(hosts) == 1",
        (f"{GATE}::test_another_host_is_refused_whoever_asks",),
    ),
    Mutant(
        "gate-without-login",
        "Nothing of the web UIs is shown without a session or a key.",
        "dagster_project/servers/uis/gate.py",
        "if not self._has_session(scope):",
        "if False:",
        (f"{GATE}::test_nothing_passes_without_a_login",),
    ),
    Mutant(
        "gate-link-opens-twice",
        "The link of the web UIs opens one session.",
        "dagster_project/servers/uis/gate.py",
        "if self._is_link_used or not _is_same(token, self.link_token):",
        "if not _is_same(token, self.link_token):",
        (f"{GATE}::test_the_link_opens_one_session_and_leaves_no_token_in_the_address",),
    ),
    Mutant(
        "gate-obeys-other-pages",
        "A page of another origin changes nothing with the session of the web UIs.",
        "dagster_project/servers/uis/gate.py",
        "return self._foreign_page(scope)",
        "return None",
        (f"{GATE}::test_a_page_of_somebody_else_cannot_change_anything_with_the_session",),
    ),
    Mutant(
        "gate-ignores-origin-of-websockets",
        "A WebSocket of another origin, or of none, is refused.",
        "serving/access/browsers.py",
        "if (is_websocket and not origins) or any(origin not in ours for origin in origins):",
        "if not is_websocket and any(origin not in ours for origin in origins):",
        (f"{GATE}::test_a_websocket_of_another_page_is_refused",),
    ),
    Mutant(
        "endpoint-answers-to-any-host",
        "The endpoint answers to its own names only.",
        "serving/web/http/hosts.py",
        "return len(named) == 1 and self._hosts.allow(named[0])",
        "return len(named) == 1",
        (f"{HOSTS}::test_other_names_are_refused_on_every_route",),
    ),
    Mutant(
        "endpoint-answers-to-beginnings",
        "A host that only begins like a name of the endpoint is refused.",
        "serving/web/http/hosts.py",
        "found = HOST.fullmatch(text)",
        "found = HOST.match(text)",
        (f"{HOSTS}::test_other_names_are_refused_on_every_route",),
    ),
    Mutant(
        "child-outlives-its-parent",
        "A child ends with its parent, however the parent ends.",
        "serving/processes/lifeline.py",
        "    if number is None:\n",
        "    if True:\n",
        ("tests/test_serving/test_lifeline.py::test_a_child_ends_with_its_parent",),
    ),
    Mutant(
        "front-page-loads-anything",
        "The front page of the endpoint may load nothing but its own style.",
        "serving/web/routes/front_page.py",
        "\"default-src 'none'; ",
        '"default-src *; ',
        ("tests/test_serving/test_front_page.py::test_it_loads_nothing_and_may_load_nothing_but_its_own_style",),
    ),
    Mutant(
        "front-page-of-markup",
        "A name on the front page of the endpoint is text, never markup.",
        "serving/web/routes/front_page.py",
        "{escape(question(market, address))}",
        "{question(market, address)}",
        ("tests/test_serving/test_front_page.py::test_a_name_is_text_and_never_markup",),
    ),
)
