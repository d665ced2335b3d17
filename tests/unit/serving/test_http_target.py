"""From a request's target to a path, and from its X-Forwarded-For to the client."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.security.grammar import Owner, sensitive_file_requested
from provd.serving.http_target import client_address, split_target

PEER = "198.51.100.1"

# --- targets


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", ""),
        (b"/Aastra/aastra.cfg", "Aastra/aastra.cfg"),
        (b"//a.cfg", "a.cfg"),
        (b"///a//b", "a//b"),
        (b"/a.cfg?", "a.cfg"),
        (b"/%41.cfg", "A.cfg"),
        (b"/a%20b+c", "a b+c"),
        (b"/%c3%a9", "é"),
        (b"/\xc3\xa9", "é"),
        (b"/%2Fa", "a"),
        (b"/a%2fb", "a/b"),
        (b"/a%3Fb?c", "a?b"),
        (b"/a;b=c", "a;b=c"),
        (b"/a#b", "a#b"),
        (b"http://pbx.example.org/a.cfg", "a.cfg"),
        (b"HTTP://192.0.2.10:8667/a/b", "a/b"),
        (b"https://[2001:db8::1]:443//a", "a"),
        (b"http://pbx.example.org", ""),
    ],
)
def test_the_path_is_decoded_and_has_no_leading_slash(target: bytes, path: str) -> None:
    result = split_target(target)
    assert result is not None
    assert result[0] == path


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"/%2541", "%41"), (b"/%252e%252e/a", "%2e%2e/a"), (b"/%25%34%31", "%41"), (b"/%2525", "%25")],
)
def test_percent_encoding_is_undone_once(target: bytes, path: str) -> None:
    result = split_target(target)
    assert result is not None
    assert result[0] == path


@pytest.mark.parametrize("target", [b"/%", b"/%4", b"/%zz", b"/a%"])
def test_a_percent_sign_that_encodes_nothing_stays(target: bytes) -> None:
    assert split_target(target) == (target[1:].decode(), "")


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/../a", "../a"),
        (b"/%2e%2e/a", "../a"),
        (b"/%2E%2E%2Fa", "../a"),
        (b"/a/..%5cb", "a/..\\b"),
        (b"/a%00b", "a\0b"),
        (b"/a%0ab", "a\nb"),
    ],
)
def test_what_no_file_name_may_hold_is_left_to_the_file_layer(target: bytes, path: str) -> None:
    assert split_target(target) == (path, "")


@pytest.mark.parametrize(
    "target",
    [
        b"/%ff",
        b"/\xff",
        b"/%c3",
        b"/%c0%ae%c0%ae/a",
        b"/%e0%80%ae",
        b"/%ed%a0%80",
        b"/%f5%80%80%80",
        b"/%C3(",
        b"/a%fe?b",
    ],
)
def test_a_path_that_is_no_utf8_is_malformed(target: bytes) -> None:
    assert split_target(target) is None


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"a.cfg",
        b"../a.cfg",
        b"pbx:443",
        b"\\a",
        b"?a",
        b"ftp://pbx/a",
        b"file:///etc/passwd",
        b"://a",
        b"http",
        b"https:",
    ],
)
def test_other_forms_of_a_target_are_malformed(target: bytes) -> None:
    assert split_target(target) is None


@pytest.mark.parametrize(
    ("target", "query"),
    [
        (b"/a?b=c&d", "b=c&d"),
        (b"/a?b?c", "b?c"),
        (b"/a?%41%00", "%41%00"),
        (b"/a?\xe9", "é"),
        (b"/a?/../b", "/../b"),
        (b"http://pbx/a?b", "b"),
        (b"/a", ""),
    ],
)
def test_the_query_is_left_as_it_was_sent(target: bytes, query: str) -> None:
    result = split_target(target)
    assert result is not None
    assert result[1] == query


@pytest.mark.parametrize(
    ("target", "expected"),
    [(b"http://pbx?a=b", ("", "a=b")), (b"http://pbx?file=/00085D2EECFB.cfg", ("", "file=/00085D2EECFB.cfg"))],
)
def test_the_authority_ends_at_a_question_mark_too(target: bytes, expected: tuple[str, str]) -> None:
    """RFC 3986 section 3.2."""
    assert split_target(target) == expected


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(st.sampled_from([b"/", b"%", b"2e", b"..", b"?", b"http://", b"\xc3\xa9"]) | st.binary(max_size=3)))
def test_every_target_is_a_path_and_a_query_or_malformed(pieces: list[bytes]) -> None:
    result = split_target(b"".join(pieces))
    if result is not None:
        path, query = result
        assert not path.startswith("/")
        assert path.encode().decode() == path
        assert query.isascii() or query.encode("latin-1")


# --- the client's address


@pytest.mark.parametrize(
    ("peer", "stored"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:DB8::7", "2001:db8::7")],
)
def test_without_a_header_the_client_is_the_peer(peer: str, stored: str) -> None:
    assert client_address(peer, None, 0) == stored
    assert client_address(peer, None, 1) == stored


def test_without_trusted_proxies_the_header_is_ignored() -> None:
    assert client_address(PEER, "192.0.2.7", 0) == PEER


@pytest.mark.parametrize(
    ("header", "proxies", "client"),
    [
        ("192.0.2.7", 1, "192.0.2.7"),
        ("203.0.113.9, 192.0.2.7", 1, "192.0.2.7"),
        ("203.0.113.9,192.0.2.7", 2, "203.0.113.9"),
        ("rubbish, 203.0.113.9, 192.0.2.7 , 192.0.2.8", 2, "192.0.2.7"),
        ("a,b,c,192.0.2.1,192.0.2.2,192.0.2.3", 3, "192.0.2.1"),
        ("2001:DB8::7", 1, "2001:db8::7"),
        ("::ffff:192.0.2.7", 1, "192.0.2.7"),
        ("\t192.0.2.7 ", 1, "192.0.2.7"),
    ],
)
def test_behind_proxies_the_client_is_the_so_manieth_from_the_right(header: str, proxies: int, client: str) -> None:
    assert client_address(PEER, header, proxies) == client


@pytest.mark.parametrize(
    ("header", "proxies"),
    [
        ("", 1),
        (",", 1),
        ("192.0.2.7,", 1),
        ("unknown", 1),
        ("_hidden", 1),
        ("192.0.2.7:1234", 1),
        ("[2001:db8::7]", 1),
        ("192.0.2.7 192.0.2.8", 1),
        ("192.0.2.7", 2),
        ("192.0.2.7, 192.0.2.8", 3),
        ("192.0.2.7, rubbish", 1),
        ("é", 1),
    ],
)
def test_a_header_that_does_not_tell_leaves_the_peer(header: str, proxies: int) -> None:
    assert client_address(PEER, header, proxies) == PEER


def test_what_the_client_wrote_further_left_never_counts() -> None:
    for forged in ("203.0.113.9", "203.0.113.9, 203.0.113.10", ", ,", "x" * 5000):
        assert client_address(PEER, f"{forged}, 192.0.2.7", 1) == "192.0.2.7"


def test_a_client_cannot_write_into_the_security_log_by_its_address() -> None:
    header = "fe80::1%: New device created automatically from 203.0.113.9: x"
    line = sensitive_file_requested(client_address(PEER, header, 1), "a.cfg", Owner.NONE, None)
    assert "203.0.113.9" not in line


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(alphabet='0123456789abcdef:., \t\xe9"', max_size=30), st.integers(0, 4))
def test_every_header_gives_an_address(header: str, proxies: int) -> None:
    address = client_address(PEER, header, proxies)
    assert client_address(address, None, 0) == address
