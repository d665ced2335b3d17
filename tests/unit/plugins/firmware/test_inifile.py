"""INI texts are read as Python's own reader does, but a mistake harms its own section only."""

from __future__ import annotations

import configparser

from hypothesis import given
from hypothesis import strategies as st

from provd.plugins.firmware.inifile import read_sections

NAMES = st.text("abcxyz_0123", min_size=1, max_size=8)
VALUES = st.text("abcXYZ 019$*./:=-;#é\\", max_size=20).map(str.strip)

def values(text: str) -> dict[str, dict[str, str]]:
    sections = read_sections([("x.db", text.encode())]).sections
    return {name: {key: entry.value for key, entry in s.entries.items()} for name, s in sections.items()}


TEXTS = st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4), max_size=4)


@given(TEXTS, st.sampled_from([":", "=", " = "]))
def test_well_formed_texts_mean_what_they_mean_to_python(content: dict[str, dict[str, str]], delimiter: str) -> None:
    text = "".join(
        f"[{name}]\n" + "".join(f"{key}{delimiter}{value}\n" for key, value in options.items())
        for name, options in content.items()
    )
    parser = configparser.RawConfigParser(default_section="none of these")
    parser.read_string(text)
    assert values(text) == {name: dict(parser[name]) for name in parser.sections()}


def test_keys_are_lower_case_and_values_and_sections_are_not() -> None:
    assert values("[pkg_X]\nDescription_FR: Été\n") == {"pkg_X": {"description_fr": "Été"}}


def test_an_indented_line_continues_the_one_before() -> None:
    assert values("[file_x]\nurl: http://a/x\n   http://b/x\n\tftp://c/x\nsize: 1")["file_x"] == {
        "url": "http://a/x\nhttp://b/x\nftp://c/x", "size": "1",
    }  # fmt: skip


def test_comments_blank_lines_windows_ends_and_a_byte_order_mark_do_no_harm() -> None:
    assert values("\ufeff; one\r\n# two\r\n\r\n[a]\r\nb: c\r\n  ; three\r\n") == {"a": {"b": "c"}}


def test_files_are_read_as_if_they_were_one() -> None:
    text = read_sections([("1.db", b"[a]\nb: c"), ("2.db", b"d: e\n[f]\n")])
    assert list(text.sections["a"].entries) == ["b", "d"]
    assert text.sections["a"].entries["d"].place == "2.db:1"


def test_mistakes_belong_to_their_section_and_say_where_they_are() -> None:
    text = read_sections([("x.db", b"early: 1\n[a]\nwhat\nb: \xff\n[c]\nd: 1\nd: 2\n[a]\n: 3\n")])
    assert text.faults == ["x.db:1: early: stands before the first section"]
    assert text.sections["a"].faults == [
        "x.db:3: [a] 'what' is neither [section] nor key: value",
        "x.db:4: [a] not UTF-8",
        "x.db:8: [a] the section is there twice, here and in x.db:2",
        "x.db:9: [a] ': 3' is neither [section] nor key: value",
    ]
    assert text.sections["c"].faults == ["x.db:7: [c] d: is there twice, here and in x.db:6"]


@given(st.binary(max_size=200))
def test_no_text_is_too_strange(content: bytes) -> None:
    read_sections([("x.db", content)])
