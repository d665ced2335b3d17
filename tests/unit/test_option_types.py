"""The types of settings: what each takes, and the value that the program gets."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.errors import InvalidValueError
from provd.option_types import (
    Option,
    Type,
    address,
    boolean,
    choice,
    file,
    folder,
    host,
    integer,
    location,
    path,
    port,
    port_range,
    proxy,
    seconds,
    without_credentials,
)

TYPES = {
    "integer": integer(1, 10),
    "seconds": seconds(0, 300),
    "choice": choice("debug", "info"),
    "port": port,
    "boolean": boolean,
    "folder": folder,
    "file": file,
    "path": path,
    "address": address,
    "host": host,
    "location": location,
    "proxy": proxy,
    "port_range": port_range,
}
toml_values = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["1-2", "http://[", "https://a", "::1", "192.0.2.1", "info", "5", "a\0b", "\ud800"]),
    st.dates(),
    st.times(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("integer", 1, 1),
        ("integer", 10, 10),
        ("port", 0, 0),
        ("port", 65535, 65535),
        ("seconds", 0, 0.0),
        ("seconds", 300, 300.0),
        ("seconds", 0.25, 0.25),
        ("choice", "info", "info"),
        ("boolean", True, True),
        ("boolean", False, False),
        ("folder", "/var/lib/xivo-provd", Path("/var/lib/xivo-provd")),
        ("file", "/var/log/é.log", Path("/var/log/é.log")),
        ("path", "/etc/x.json", Path("/etc/x.json")),
        ("path", "", None),
        ("address", "", ""),
        ("address", "0.0.0.0", "0.0.0.0"),
        ("address", "2001:DB8::1", "2001:db8::1"),
        ("address", "::ffff:192.0.2.1", "192.0.2.1"),
        ("host", "", ""),
        ("host", "pbx.example.org", "pbx.example.org"),
        ("location", "https://provd.example.org/plugins/1/stable/", "https://provd.example.org/plugins/1/stable/"),
        ("location", "HTTP://[2001:db8::1]:80", "HTTP://[2001:db8::1]:80"),
        ("location", "/usr/share/xivo-provd/plugins", "/usr/share/xivo-provd/plugins"),
        ("port_range", "", None),
        ("port_range", "20000-20999", (20000, 20999)),
        ("port_range", "1-65535", (1, 65535)),
        ("port_range", "69-69", (69, 69)),
    ],
)
def test_a_value_that_is_allowed(name: str, value: Any, result: Any) -> None:
    given_back = TYPES[name]("field", value)
    assert given_back == result
    assert type(given_back) is type(result) or isinstance(result, Path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("integer", [0, 11, -1, "0", "11", "x", "", "1.0", "1 ", "٥", 1.0, True, None, []]),
        ("port", [-1, 65536, "65536", "-0x1", True]),
        ("seconds", [-1, 300.5, "500", float("nan"), float("inf"), True, None]),
        ("choice", ["INFO", "", None, 1, ["info"]]),
        ("boolean", [0, 1, "yes", "True", "", None]),
        ("folder", ["", "a\0b", 1, None, ["/"]]),
        ("file", ["", "a\0b", 1, None]),
        ("path", ["a\0b", 1, None, False, [], {}]),
        ("address", ["pbx", "192.0.2", "192.0.2.1:69", "[::1]", " ", 1, None, []]),
        ("host", ["300.1.1.1", "192.0.2", "pbx example", "http://pbx", "a\n", 1, None, False, [], {}]),
        ("location", ["", "ftp://provd.example.org", "file:///plugins", "http://", "http://[::1", "a\0b", 1, None]),
        (
            "port_range",
            ["20000", "1-", "-1", "0-5", "9-1", "1-65536", "1 - 2", "1-2-3", "a-b", "1-2\n", 5, [], None],
        ),
    ],
)
def test_a_value_that_is_not_allowed(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidValueError) as caught:
            TYPES[name]("the field", value)
        assert caught.value.field == "the field"
        assert str(caught.value).endswith(f"; allowed: {TYPES[name].allowed}")


@pytest.mark.parametrize(
    ("name", "value"), [("integer", "7"), ("port", "26969"), ("seconds", "2.5"), ("boolean", "true")]
)
def test_a_number_in_quotes_is_no_number_and_the_quotes_are_named(name: str, value: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        TYPES[name]("the field", value)
    assert str(caught.value) == (
        f"the field: {value!r} is not allowed; allowed: {TYPES[name].allowed}, without quotes"
    )


@pytest.mark.parametrize(
    ("name", "text", "result"),
    [
        ("integer", "7", 7),
        ("port", "65535", 65535),
        ("seconds", "5", 5.0),
        ("seconds", "0.25", 0.25),
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("choice", "info", "info"),
        ("folder", "/srv", Path("/srv")),
        ("port_range", "1-2", (1, 2)),
    ],
)
def test_a_text_of_the_command_line_that_is_allowed(name: str, text: str, result: Any) -> None:
    value = TYPES[name].from_text("--flag", text)
    assert value == result
    assert type(value) is type(result) or isinstance(result, Path)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("integer", ["0", "11", "x", "", "1.0", "1 ", "٥", "-1", "9" * 5000]),
        ("port", ["65536", "-0x1"]),
        ("seconds", ["", "x", "301", "nan", "inf", "1e2", "-1", " 1", "9" * 5000]),
        ("boolean", ["", "1", "yes", "True"]),
        ("choice", ["INFO"]),
        ("folder", ["", "a\0b"]),
        ("address", ["pbx"]),
        ("host", ["300.1.1.1"]),
    ],
)
def test_a_text_of_the_command_line_that_is_not_allowed(name: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(InvalidValueError) as caught:
            TYPES[name].from_text("--flag", text)
        assert str(caught.value).startswith("--flag: ")
        assert str(caught.value).endswith(f"; allowed: {TYPES[name].allowed}")


@pytest.mark.parametrize("option_type", TYPES.values(), ids=TYPES)
@settings(deadline=None, derandomize=True, max_examples=60)
@given(value=toml_values)
def test_every_value_of_a_toml_file_is_taken_or_refused(option_type: Type, value: Any) -> None:
    try:
        result = option_type("field", value)
    except InvalidValueError:
        return
    assert not isinstance(result, (list, dict, datetime.date))


def test_relative_paths_are_below_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert folder("field", "var") == tmp_path / "var"
    assert path("field", "base.json") == tmp_path / "base.json"
    assert location("field", "plugins") == str(tmp_path / "plugins")


def test_an_address_has_one_line() -> None:
    with pytest.raises(InvalidValueError):
        address("field", "fe80::1%a\nb")


@pytest.mark.parametrize(
    ("default", "line"), [(69, "key = 69"), (False, "key = false"), ("", 'key = ""'), ('a"b', 'key = "a\\"b"')]
)
def test_an_option_as_a_line_of_a_file(default: Any, line: str) -> None:
    option = Option("table", "key", port, default, "What it does.")
    assert option.as_toml() == line
    assert option.name == "table.key"


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("", ""),
        ("http://192.0.2.1:3128", "http://192.0.2.1:3128"),
        ("http://joe:secret@proxy.example/", "http://joe:secret@proxy.example"),
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128"),
    ],
)
def test_a_proxy_is_a_url_or_host_and_port(value: str, result: str) -> None:
    assert proxy("x", value) == result


@pytest.mark.parametrize(
    "value",
    [
        "joe:secret@", "https://joe:secret@proxy.example", "http://joe:secret@proxy.example/path",
        "http://joe:secret@proxy.example:99999", "ftp://joe:secret@h", "http://joe:secret@h?x", "http://joe:sec ret@h",
        "joe:secret@h", "http://joe:secret@",
    ],
)  # fmt: skip
def test_a_proxy_that_is_none_is_refused_and_no_password_is_shown(value: str) -> None:
    with pytest.raises(InvalidValueError, match="an http URL such as") as caught:
        proxy("general.http_proxy", value)
    message = str(caught.value).partition(" is not allowed")[0]
    assert "sec" not in message
    assert "joe" not in message
    with pytest.raises(InvalidValueError) as caught:
        proxy.from_text("--proxy", value)
    assert "sec" not in str(caught.value).partition(" is not allowed")[0]


@pytest.mark.parametrize("value", ["proxy", 3128, None, "http://"])
def test_what_is_no_proxy_at_all_is_refused(value: object) -> None:
    with pytest.raises(InvalidValueError):
        proxy("general.http_proxy", value)


def test_a_text_without_credentials_is_shown_as_it_is() -> None:
    assert without_credentials("http://host/x") == "http://host/x"
