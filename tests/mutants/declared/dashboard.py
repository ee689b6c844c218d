"""The dashboard: who gets in, what a session ends with, and what no page may leave out."""

from mutant import Mutant

LOGIN = "tests/test_serving/test_pages_login.py"
VIEWS = "tests/test_serving/test_pages_views.py"
HTML = "tests/test_serving/test_pages_html.py"
FOLLOWING = "tests/test_serving/test_pages_following.py"
THEME = "tests/test_serving/test_pages_theme.py"
LIVE = "tests/test_serving/test_pages_live.py"

MUTANTS = (
    Mutant(
        "dashboard-band-without-badge",
        "No band of a forecast is shown without how often such bands held.",
        "serving/pages/views/bands.py",
        "return ShownBand(formats.signed(p10), formats.signed(p90), level, badge)",
        'return ShownBand(formats.signed(p10), formats.signed(p90), level, Badge("", "few"))',
        (f"{VIEWS}::test_no_band_is_made_without_its_badge",),
    ),
    Mutant(
        "dashboard-tells-shares-of-a-few-outcomes",
        "Below thirty outcomes a badge tells no share.",
        "serving/pages/views/bands.py",
        "or record.outcomes < LEAST_OUTCOMES:",
        "or record.outcomes < 0:",
        (f"{VIEWS}::test_a_badge_tells_no_share_of_a_few_outcomes_whatever_the_record_holds",),
    ),
    Mutant(
        "dashboard-outcomes-without-as-of",
        "Nothing of a page became known after the session that it looks back to.",
        "serving/pages/routes/symbol.py",
        "visit.as_of.instant, visit.horizon\n    page = history.RowsPage(limit=OUTCOMES)",
        "visit.dashboard.now(), visit.horizon\n    page = history.RowsPage(limit=OUTCOMES)",
        (f"{HTML}::test_nothing_of_a_page_was_known_after_the_session_it_looks_back_to",),
    ),
    Mutant(
        "dashboard-sessions-outlive-their-key",
        "A session of the dashboard ends with its key.",
        "serving/pages/login/sessions.py",
        "return is_young and self._is_in_force(session.caller)",
        "return is_young",
        (f"{LOGIN}::test_a_session_ends_with_its_key",),
    ),
    Mutant(
        "dashboard-stream-outlives-its-session",
        "A stream of new forecasts ends with the session that opened it.",
        "serving/pages/routes/stream.py",
        "EventStream(reader.waiting, partial(sessions.is_alive, identifier),",
        "EventStream(reader.waiting, lambda: True,",
        (f"{LIVE}::test_a_stream_ends_with_its_session",),
    ),
    Mutant(
        "dashboard-stream-prolongs-its-session",
        "An open stream does not keep an idle session alive.",
        "serving/pages/login/sessions.py",
        "return session is not None and self._is_alive(session)",
        "return self.find(identifier) is not None",
        (f"{LOGIN}::test_a_session_ends_when_it_is_idle_and_after_a_day_whatever_happens",),
    ),
    Mutant(
        "dashboard-waits-for-slow-pages",
        "A page that reads new forecasts too slowly is dropped.",
        "serving/pages/live/event_stream.py",
        "                self._waiting.until_slow(),\n",
        "",
        (f"{LIVE}::test_the_slow_are_dropped_and_the_others_go_on",),
    ),
    Mutant(
        "dashboard-sessions-never-end",
        "A session of the dashboard ends after eight idle hours, and after a day.",
        "serving/pages/login/sessions.py",
        "return is_young and self._is_in_force(session.caller)",
        "return self._is_in_force(session.caller)",
        (f"{LOGIN}::test_a_session_ends_when_it_is_idle_and_after_a_day_whatever_happens",),
    ),
    Mutant(
        "dashboard-obeys-other-pages",
        "A page of another origin changes nothing with a session of the dashboard.",
        "serving/pages/guard.py",
        "and (reason := cross_site_reason(scope)):",
        'and (reason := ""):',
        (f"{LOGIN}::test_a_change_of_another_page_is_refused",),
    ),
    Mutant(
        "dashboard-obeys-forms-of-others",
        "A form that is not one of the visitor's session changes nothing: no list, no theme, no login.",
        "serving/pages/routes/forms.py",
        'if session is None or not is_form_of(session, form.get("form_token", "")):',
        "if session is None:",
        (
            f"{FOLLOWING}::test_a_form_of_another_session_or_origin_changes_nothing",
            f"{THEME}::test_a_form_of_another_session_a_page_of_another_origin_and_a_stranger_change_nothing",
            f"{LOGIN}::test_a_form_of_another_session_is_refused",
        ),
    ),
    Mutant(
        "dashboard-answers-to-any-host",
        "The dashboard answers to names of this machine only.",
        "serving/access/browsers.py",
        "return len(hosts) == 1 and hosts[0]",
        "return len(hosts) == 1 or hosts[0]",
        (f"{LOGIN}::test_another_host_is_refused_whoever_asks",),
    ),
    Mutant(
        "dashboard-forgets-roles",
        "A page is shown to keys whose role reaches it.",
        "serving/pages/guard.py",
        "and not session.caller.may(rule.role):",
        "and False:",
        (f"{LOGIN}::test_each_role_sees_the_pages_that_it_may_and_no_link_to_the_others",),
    ),
    Mutant(
        "dashboard-code-opens-twice",
        "The link of the dashboard logs one browser in.",
        "serving/pages/login/codes.py",
        "            path.unlink()\n",
        "            pass\n",
        (f"{LOGIN}::test_the_link_logs_one_browser_in_once",),
    ),
    Mutant(
        "dashboard-codes-never-end",
        "A link that is older than a minute logs nobody in.",
        "serving/pages/login/codes.py",
        'return is_right and now() < record["expires_at"]',
        "return is_right",
        (f"{LOGIN}::test_a_code_ends_after_a_minute_and_with_the_next_one",),
    ),
    Mutant(
        "dashboard-counts-no-attempts",
        "Five attempts a minute to log in come from one address, and no more.",
        "serving/pages/login/attempts.py",
        "is_allowed = len(times) < ATTEMPTS",
        "is_allowed = True",
        (f"{LOGIN}::test_five_attempts_a_minute_and_no_more",),
    ),
    Mutant(
        "dashboard-login-leads-elsewhere",
        "A login leads to a page of the dashboard.",
        "serving/pages/routes/forms.py",
        'return address if is_ours and address.isprintable() else "/"',
        "return address",
        (f"{LOGIN}::test_a_login_leads_to_no_other_site",),
    ),
    Mutant(
        "dashboard-errors-without-headers",
        "Every answer of the dashboard has the security headers, those of faults too.",
        "serving/pages/app.py",
        "return CorrelationIds(SecurityHeaders(guard))",
        "return CorrelationIds(Guard(SecurityHeaders(app), page_policy(), opened.sessions, settings.dashboard_port))",
        (f"{LOGIN}::test_every_answer_has_the_headers",),
    ),
)
