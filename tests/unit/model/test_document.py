"""What all documents have in common: texts of one line, opaque ids, JSON that can be read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.errors import InvalidValueError
from provd.model.document import check_document, check_id, without_control_characters

CONTROL_CHARACTERS = [
    "\0", "\t", "\n", "\x0b", "\x0c", "\r", "\x1b", "\x1f", "\x7f", "\x80", "\x85", "\x9f", "\u2028", "\u2029",
    "\ud800", "\udfff",
]  # fmt: skip

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def nested(levels: int) -> Any:
    value: Any = "x"
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


# --- texts of one line


@pytest.mark.parametrize("character", CONTROL_CHARACTERS, ids=ascii)
def test_a_text_with_a_control_character_is_refused(character: str) -> None:
    with pytest.raises(InvalidValueError, match=r"^label: .*; allowed: a text without control characters$"):
        without_control_characters("label", f"a{character}b")


@pytest.mark.parametrize("text", ["", "a b", "é€漢😀", "'\"\\<>&$`;%{{}}", "\xa0", "\u200b", "\ufeff"], ids=ascii)
def test_other_texts_are_kept_as_they_are(text: str) -> None:
    assert without_control_characters("label", text) == text


@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], {}, b"a"])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^label: .*; allowed: a text$"):
        without_control_characters("label", value)


def test_several_lines_are_allowed_where_it_is_said() -> None:
    assert without_control_characters("pem", "a\r\nb\n", lines=True) == "a\r\nb\n"


@pytest.mark.parametrize("character", sorted(set(CONTROL_CHARACTERS) - {"\n", "\r"}), ids=ascii)
def test_lines_may_not_have_other_control_characters(character: str) -> None:
    with pytest.raises(InvalidValueError):
        without_control_characters("pem", f"a{character}b", lines=True)


# --- ids


@pytest.mark.parametrize("text", ["a", "254374beec8d40209ff70393326b0b13", "../configs/x", "a b", "é", "x" * 200])
def test_any_text_of_one_line_can_be_an_id(text: str) -> None:
    assert check_id(text) == text


@pytest.mark.parametrize("value", ["", "x" * 201, "a\nb", "a\0", "\ud800", None, 1, ["a"]])
def test_other_values_are_no_ids(value: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^id: "):
        check_id(value)


# --- whole documents


@settings(deadline=None, derandomize=True)
@given(json_values)
def test_a_document_that_is_accepted_can_be_stored_and_read_back(value: Any) -> None:
    try:
        check_document("config", value)
    except InvalidValueError:
        return
    assert json.loads(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "value", [None, True, 0, -5, 10**30, 1.5, -0.0, "", "a\nb", [], {}, [{"a": [1, "x"]}]], ids=repr
)
def test_every_value_of_json_is_accepted(value: Any) -> None:
    check_document("config", {"a": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_have_are_refused(value: float) -> None:
    with pytest.raises(InvalidValueError, match=r"^config.a.b: .*; allowed: a finite number$"):
        check_document("config", {"a": {"b": [value]}})


@pytest.mark.parametrize("value", [b"a", (1,), {1}, 1j, object()], ids=lambda value: type(value).__name__)
def test_values_that_json_does_not_have_are_refused(value: object) -> None:
    with pytest.raises(InvalidValueError, match=r"^config.a: .*; allowed: a JSON value$"):
        check_document("config", {"a": value})


@pytest.mark.parametrize("key", [1, None, True, b"a"])
def test_keys_that_are_no_texts_are_refused(key: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"^config.a: .*; allowed: keys that are texts$"):
        check_document("config", {"a": {key: 1}})


@pytest.mark.parametrize("value", [{"a": "\ud800"}, {"\udfff": 1}, {"a": ["\ud800"]}], ids=["value", "key", "list"])
def test_texts_that_utf8_cannot_encode_are_refused(value: Any) -> None:
    with pytest.raises(InvalidValueError, match=r"allowed: a text that UTF-8 can encode$"):
        check_document("config", value)


def test_a_document_may_be_nested_up_to_the_limit() -> None:
    check_document("config", nested(32))


@pytest.mark.parametrize("levels", [33, 50_000])
def test_a_document_nested_deeper_is_refused(levels: int) -> None:
    with pytest.raises(InvalidValueError, match=r"allowed: at most 32 levels of nesting$"):
        check_document("config", nested(levels))


def test_a_number_that_json_cannot_write_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        check_document("config", {"a": 10**5000})


# --- what messages show


def test_a_message_is_not_longer_than_a_line() -> None:
    with pytest.raises(InvalidValueError) as caught:
        without_control_characters("label", "x" * 1000 + "\n")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("field", ["password", "sip_lines.1.password", "X_secret_code", "sip_local_key", "X_key"])
def test_a_message_does_not_show_a_secret(field: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        without_control_characters(field, "hunter2\n")
    assert "hunter2" not in str(caught.value)
    assert caught.value.value == "(not shown)"
    assert str(caught.value).startswith(f"{field}: ")


@pytest.mark.parametrize("key", ["a\nb", "a\rb", "a\x1b[2Jb"], ids=ascii)
def test_a_message_is_one_line_whatever_the_keys(key: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_document("config", {key: float("inf")})
    assert str(caught.value).isprintable()
