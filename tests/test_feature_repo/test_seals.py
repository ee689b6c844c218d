"""A seal fits one key, one name and one content; whatever else is shown is refused."""

import pytest

from feature_repo.online.seals import KEY_BYTES, SEAL_BYTES, OnlineKey

KEY = OnlineKey(bytes(range(KEY_BYTES)))
NAME, CONTENT = "{quantlake}:windows:S1", b"a row of the online store"
SEALED = KEY.seal(NAME, CONTENT)


def flipped(value: bytes, bit: int) -> bytes:
    return bytes(byte ^ (1 << bit % 8 if at == bit // 8 else 0) for at, byte in enumerate(value))


def test_a_seal_fits_one_key_one_name_and_one_content() -> None:
    assert (KEY.accepts(NAME, SEALED), KEY.content(NAME, SEALED)) == (True, CONTENT)
    assert not any(KEY.accepts(NAME, flipped(SEALED, bit)) for bit in range(8 * len(SEALED)))
    assert not KEY.accepts("{quantlake}:windows:S2", SEALED)
    assert not OnlineKey(flipped(KEY.secret, 0)).accepts(NAME, SEALED)
    assert KEY.seal("ab", b"c")[-SEAL_BYTES:] != KEY.seal("a", b"bc")[-SEAL_BYTES:]


@pytest.mark.parametrize("value", [None, "text", 1, b"", SEALED[:SEAL_BYTES], SEALED[:-1], SEALED + b"\0"])
def test_what_was_never_sealed_is_refused(value: object) -> None:
    assert not KEY.accepts(NAME, value)
    assert KEY.content(NAME, value) is None
