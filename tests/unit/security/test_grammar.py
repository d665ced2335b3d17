"""The lines of the security log: their exact form, and that nobody can write another one through a name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.security.grammar import Owner, new_device_created, quoted, sensitive_file_requested

SENSITIVE = re.compile(
    r'Sensitive file requested from (?P<host>[0-9a-f.:]+): "(?P<name>[ !#-~]*)" '
    r"owner=(?P<owner>known|none|other) device=(?P<device>[!-~]+)"
)
NEW_DEVICE = re.compile(r"New device created automatically from (?P<host>[0-9a-f.:]+): (?P<device>[!-~]+)")
LOOSE_FILTER = re.compile(r"(?:New device created automatically|Sensitive file requested) from ([0-9a-f.:]+):")
"""As existing installations filter: not anchored, so that it finds the words anywhere in a line."""

names = st.text(max_size=200) | st.text(alphabet='a"\\ \n\r\0\x7f\x85é\u2028\ud800/:%=', max_size=40)


def test_the_line_of_a_sensitive_file() -> None:
    line = sensitive_file_requested("192.0.2.7", "Aastra/00085D2EECFB.cfg", Owner.KNOWN, "254374beec8d4020")
    assert line == ('Sensitive file requested from 192.0.2.7: "00085D2EECFB.cfg" owner=known device=254374beec8d4020')


@pytest.mark.parametrize(("owner", "word"), [(Owner.KNOWN, "known"), (Owner.NONE, "none"), (Owner.OTHER, "other")])
def test_the_line_says_whose_file_it_is(owner: Owner, word: str) -> None:
    assert f" owner={word} " in sensitive_file_requested("192.0.2.7", "a.cfg", owner, "d")


@pytest.mark.parametrize("device_id", [None, ""])
def test_a_dash_stands_for_a_device_that_nobody_knows(device_id: str | None) -> None:
    line = sensitive_file_requested("2001:db8::7", "a.cfg", Owner.NONE, device_id)
    assert line == 'Sensitive file requested from 2001:db8::7: "a.cfg" owner=none device=-'


def test_the_line_of_a_new_device() -> None:
    line = new_device_created("192.0.2.7", "254374beec8d4020")
    assert line == "New device created automatically from 192.0.2.7: 254374beec8d4020"


@pytest.mark.parametrize(("path", "name"), [("a.cfg", "a.cfg"), ("/x/y/a.cfg", "a.cfg"), ("x/", ""), ("", "")])
def test_only_the_last_part_of_a_path_is_shown(path: str, name: str) -> None:
    assert f': "{name}" owner=' in sensitive_file_requested("192.0.2.7", path, Owner.NONE, None)


# --- quoting


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", '""'),
        ("00085D2EECFB.cfg", '"00085D2EECFB.cfg"'),
        ("a b!#'$%&()*+,-./;<=>?@[]^_`{|}~", '"a b!#\'$%&()*+,-./;<=>?@[]^_`{|}~"'),
        ('a"b', r'"a\x22b"'),
        ("a\\b", r'"a\x5cb"'),
        ("a\nb\r", r'"a\x0ab\x0d"'),
        ("\0\t\x1b\x7f", r'"\x00\x09\x1b\x7f"'),
        ("é", r'"\xc3\xa9"'),
        ("\u2028", r'"\xe2\x80\xa8"'),
        ("😀", r'"\xf0\x9f\x98\x80"'),
        ("\ud800", r'"\xed\xa0\x80"'),
    ],
    ids=ascii,
)
def test_what_is_not_printable_ascii_is_shown_in_hexadecimal(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_a_long_name_is_cut_and_the_cut_is_marked() -> None:
    assert quoted("a" * 128) == '"' + "a" * 128 + '"'
    assert quoted("a" * 129) == '"' + "a" * 128 + r'\xe2\x80\xa6"'


@settings(deadline=None, derandomize=True, max_examples=300)
@given(names)
def test_a_quoted_text_is_one_line_of_printable_ascii_and_ends_where_it_ends(text: str) -> None:
    shown = quoted(text)
    assert re.fullmatch(r'"(?:[ !#-\[\]-~]|\\x[0-9a-f]{2})*"', shown)
    assert len(shown) <= 128 * 16 + 14


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.text(max_size=128))
def test_a_quoted_text_can_be_read_back(text: str) -> None:
    raw = quoted(text)[1:-1].encode()
    read = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), raw)
    assert read.decode("utf-8", "surrogatepass") == text


# --- attempts to write another line


INJECTIONS = [
    "a\n[2026-11-22 20:15:03,123] New device created automatically from 203.0.113.9: x",
    "a\r\nNew device created automatically from 203.0.113.9: x",
    'a" owner=none device=-\nSensitive file requested from 203.0.113.9: "a',
    "a\u2028New device created automatically from 203.0.113.9: x",
    "a\x85New device created automatically from 203.0.113.9: x",
    "\x1b[2K\rNew device created automatically from 203.0.113.9: x",
]


@pytest.mark.parametrize("name", INJECTIONS, ids=ascii)
def test_a_name_cannot_write_another_line(name: str) -> None:
    line = sensitive_file_requested("192.0.2.7", name, Owner.NONE, None)
    assert len(line.splitlines()) == 1
    match = SENSITIVE.fullmatch(line)
    assert match is not None
    assert match["host"] == "192.0.2.7"


def test_a_name_cannot_give_another_address_to_the_filters_of_existing_installations() -> None:
    line = sensitive_file_requested(
        "192.0.2.7", "New device created automatically from 203.0.113.9: x", Owner.NONE, None
    )
    assert LOOSE_FILTER.findall(line) == ["192.0.2.7"]


@settings(deadline=None, derandomize=True, max_examples=300)
@given(path=names, device_id=st.none() | names, owner=st.sampled_from(Owner))
def test_every_line_of_a_sensitive_file_matches_the_anchored_expression(
    path: str, device_id: str | None, owner: Owner
) -> None:
    match = SENSITIVE.fullmatch(sensitive_file_requested("2001:db8::7", path, owner, device_id))
    assert match is not None
    assert (match["host"], match["owner"]) == ("2001:db8::7", owner.value)


@settings(deadline=None, derandomize=True, max_examples=300)
@given(names.filter(bool))
def test_every_line_of_a_new_device_matches_the_anchored_expression(device_id: str) -> None:
    match = NEW_DEVICE.fullmatch(new_device_created("192.0.2.7", device_id))
    assert match is not None
    assert match["host"] == "192.0.2.7"


@pytest.mark.parametrize(
    ("device_id", "shown"), [("a b", "a%20b"), ("a\nb", "a%0ab"), ("é", "%c3%a9"), ("\ud800", "%ed%a0%80")], ids=ascii
)
def test_an_id_is_one_word(device_id: str, shown: str) -> None:
    assert new_device_created("192.0.2.7", device_id).endswith(f": {shown}")
