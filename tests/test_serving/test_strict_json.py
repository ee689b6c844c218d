"""What Python's JSON parser lets pass and a stranger should not send."""

import pytest

from serving.web.http.strict_json import oddity_of


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"symbol":"AAPL","symbol":"IBM"}', "The key 'symbol' is there twice"),
        (b'{"a":[{"b":1,"b":1}]}', "The key 'b' is there twice"),
        (b'\xef\xbb\xbf{"symbol":"AAPL"}', "begins with a byte order mark"),
        ('{"symbol":"AAPL"}'.encode("utf-16-le"), "zero byte"),
        (b'{"symbol":"\xff"}', "not UTF-8"),
    ],
)
def test_what_the_parser_would_let_pass_is_named(body: bytes, said: str) -> None:
    assert said in oddity_of(body)


@pytest.mark.parametrize("body", [b'{"symbol":"AAPL"}', b'{"a":{"b":1},"c":{"b":1}}', b"[]", b"{", b""])
def test_what_is_good_or_no_json_at_all_is_left_to_the_parser(body: bytes) -> None:
    assert oddity_of(body) == ""
