"""The settings files and the command line: what wins, and what a message says of a mistake."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from provd import settings as module
from provd.errors import SettingsError
from provd.option_types import Option
from provd.settings import OPTIONS, Settings, default_file_text, load_settings, plugins_folder, store_path

IDS = [option.name for option in OPTIONS]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file that is there and empty."""
    path = tmp_path / "provd.toml"
    path.write_text("")
    return path


@pytest.fixture
def conf_d(file: Path) -> Path:
    folder = file.parent / "conf.d"
    folder.mkdir()
    return folder


def loaded(file: Path, text: str = "", **command_line: Any) -> Settings:
    file.write_text(text)
    return load_settings(file, command_line)


def mistake(file: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(file, text)
    assert caught.value.exit_code == 2
    return str(caught.value)


# --- the table


@pytest.mark.parametrize("option", OPTIONS, ids=IDS)
def test_the_default_of_every_option_is_allowed(option: Option) -> None:
    value = option.check(option.name, option.default)
    assert value is not None or option.default == ""


@pytest.mark.parametrize("option", OPTIONS, ids=IDS)
def test_every_option_says_what_it_does_and_what_is_allowed(option: Option) -> None:
    assert re.fullmatch(r"[A-Z][^\n]+\.", option.doc)
    assert option.check.allowed
    assert re.fullmatch("[a-z_]+", option.key)


def test_no_option_is_there_twice() -> None:
    assert len(set(IDS)) == len(IDS)
    flags = [option.flag for option in OPTIONS if option.flag]
    assert len(set(flags)) == len(flags)


def test_without_files_every_option_has_its_default(file: Path) -> None:
    settings = loaded(file)
    assert set(settings.values) == set(IDS)
    assert (settings["tftp.port"], settings["http.port"], settings["admin.port"]) == (69, 8667, 8666)
    assert (settings["admin.address"], settings["general.bind"], settings["tftp.port_range"]) == ("127.0.0.1", "", None)
    assert settings["security.log_file"] == Path("/var/log/xivo-provd-fail2ban.log")


@pytest.mark.parametrize(
    ("name", "default", "low", "high"),
    [
        ("general.drain_timeout", 10, 0, 300),
        ("tftp.port", 69, 0, 65535),
        ("tftp.max_transfers", 4096, 1, 100_000),
        ("tftp.max_transfers_per_address", 256, 1, 100_000),
        ("tftp.max_blksize", 65464, 512, 65464),
        ("tftp.max_windowsize", 16, 1, 64),
        ("http.port", 8667, 0, 65535),
        ("http.max_connections", 4096, 1, 100_000),
        ("http.max_connections_per_address", 256, 1, 100_000),
        ("http.head_timeout", 10, 1, 300),
        ("http.idle_timeout", 15, 1, 300),
        ("http.trusted_proxies", 0, 0, 10),
        ("admin.port", 8666, 0, 65535),
    ],
)
def test_the_limits_of_numbers(file: Path, name: str, default: int, low: int, high: int) -> None:
    table, _, key = name.partition(".")
    assert loaded(file)[name] == default
    for value in (low, high):
        assert loaded(file, f"[{table}]\n{key} = {value}\n")[name] == value
    for value in (low - 1, high + 1):
        assert f"{name}: {value} is not allowed" in mistake(file, f"[{table}]\n{key} = {value}\n")


def test_phones_are_not_behind_a_nat_unless_it_is_said(file: Path) -> None:
    assert loaded(file)["tftp.single_port"] is False


def test_where_the_state_is(file: Path) -> None:
    settings = loaded(file, '[general]\nstate_dir = "/srv/provd"\n')
    assert store_path(settings) == Path("/srv/provd/provd.db")
    assert plugins_folder(settings) == Path("/srv/provd/plugins")


# --- what wins


def test_a_file_wins_over_the_defaults(file: Path) -> None:
    settings = loaded(file, '[tftp]\nport = 6969\nport_range = "20000-20999"\n[http]\nhead_timeout = 2.5\n')
    assert (settings["tftp.port"], settings["tftp.port_range"], settings["http.head_timeout"]) == (
        6969,
        (20000, 20999),
        2.5,
    )
    assert settings["http.port"] == 8667


def test_the_files_of_conf_d_win_in_the_order_of_their_names(file: Path, conf_d: Path) -> None:
    (conf_d / "20-b.toml").write_text("[tftp]\nport = 20\n")
    (conf_d / "10-a.toml").write_text("[tftp]\nport = 10\n[http]\nport = 1010\n")
    (conf_d / "9-c.toml").write_text("[admin]\nport = 9\n[tftp]\nport = 9\n")
    (conf_d / "30-note.txt").write_text("this is no settings file")
    settings = loaded(file, "[tftp]\nport = 1\n[http]\nport = 1\n[admin]\nport = 1\n")
    assert (settings["tftp.port"], settings["http.port"], settings["admin.port"]) == (9, 1010, 9)


def test_the_command_line_wins_over_all(file: Path, conf_d: Path) -> None:
    (conf_d / "a.toml").write_text("[tftp]\nport = 10\n")
    file.write_text("[tftp]\nport = 1\n")
    assert load_settings(file, {"tftp.port": "6969"})["tftp.port"] == 6969


def test_without_a_file_given_the_default_one_is_read(
    file: Path, conf_d: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEFAULT_FILE", file)
    file.write_text("[tftp]\nport = 6969\n")
    (conf_d / "a.toml").write_text("[http]\nport = 80\n")
    settings = load_settings(None, {})
    assert (settings["tftp.port"], settings["http.port"]) == (6969, 80)


def test_the_default_file_may_be_missing(file: Path, conf_d: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DEFAULT_FILE", file)
    file.unlink()
    (conf_d / "a.toml").write_text("[http]\nport = 80\n")
    assert load_settings(None, {})["http.port"] == 80


def test_relative_paths_become_absolute(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = loaded(file, '[general]\nstate_dir = "var"\nplugin_server = "plugins"\n')
    assert settings["general.state_dir"] == tmp_path / "var"
    assert settings["general.plugin_server"] == str(tmp_path / "plugins")


# --- mistakes


def test_a_file_that_is_given_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.toml: No such file or directory$"):
        load_settings(tmp_path / "nothing.toml", {})


def test_a_file_that_cannot_be_read_is_named(file: Path, conf_d: Path) -> None:
    (conf_d / "a.toml").mkdir()
    with pytest.raises(SettingsError, match=r"conf\.d/a\.toml: Is a directory$"):
        load_settings(file, {})


@pytest.mark.parametrize("text", ["[tftp", "port", "[tftp]\nport = 1\nport = 2\n", 'a = "\x00"'])
def test_a_file_that_is_no_toml_is_named(file: Path, text: str) -> None:
    assert mistake(file, text).startswith(f"{file}: ")


def test_a_file_that_is_no_utf8_is_named(file: Path) -> None:
    file.write_bytes(b"# \xff\n")
    with pytest.raises(SettingsError, match=re.escape(f"{file}: ")):
        load_settings(file, {})


def test_an_unknown_table_is_named_with_those_that_there_are(file: Path) -> None:
    message = mistake(file, "[ftp]\nport = 1\n")
    assert message == (f"{file}: ftp: there is no such table; allowed: [general], [tftp], [http], [admin], [security]")


def test_an_option_outside_any_table_is_named(file: Path) -> None:
    assert mistake(file, "port = 1\n").startswith(f"{file}: port: ")


def test_an_unknown_option_is_named_with_those_that_there_are(file: Path) -> None:
    message = mistake(file, "[admin]\nprot = 1\n")
    assert message == f"{file}: admin.prot: there is no such option; allowed: port, address"


@pytest.mark.parametrize(
    ("text", "field", "value", "allowed"),
    [
        ("[tftp]\nport = 70000", "tftp.port", "70000", "a whole number from 0 to 65535"),
        ("[tftp]\nport = true", "tftp.port", "True", "a whole number from 0 to 65535"),
        ("[tftp]\nport = []", "tftp.port", "[]", "a whole number from 0 to 65535"),
        ('[tftp]\nsingle_port = "yes"', "tftp.single_port", "'yes'", "true or false"),
        ("[tftp]\nmax_blksize = 511", "tftp.max_blksize", "511", "a whole number from 512 to 65464"),
        ('[tftp]\nport_range = "9-1"', "tftp.port_range", "'9-1'", "two ports joined by a dash"),
        ("[http]\nhead_timeout = 0.5", "http.head_timeout", "0.5", "a number of seconds from 1 to 300"),
        ("[http]\nhead_timeout = nan", "http.head_timeout", "nan", "a number of seconds from 1 to 300"),
        ('[general]\nlog_level = "loud"', "general.log_level", "'loud'", "one of debug, info, warning, error"),
        ('[general]\nbind = "pbx"', "general.bind", "'pbx'", "an IPv4 or IPv6 address, or an empty text"),
        ('[general]\nstate_dir = ""', "general.state_dir", "''", "the path of a folder"),
        ("[security]\nlog_file = 1979-05-27", "security.log_file", "datetime.date", "the path of a file"),
        ("[http.port]\na = 1", "http.port", "", "a whole number from 0 to 65535"),
    ],
)
def test_a_wrong_value_is_named_with_file_and_key_and_what_is_allowed(
    file: Path, text: str, field: str, value: str, allowed: str
) -> None:
    message = mistake(file, text)
    assert message.startswith(f"{file}: {field}: {value}")
    assert f"is not allowed; allowed: {allowed}" in message


def test_a_wrong_value_on_the_command_line_is_named_with_its_flag(file: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"^--tftp-port: 'x' is not allowed; allowed: a whole number from 0 to 65535$"
    ):
        load_settings(file, {"tftp.port": "x"})


def test_a_wrong_value_is_shown_wherever_the_file_is(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    assert "70000" in mistake(file, "[tftp]\nport = 70000")


@pytest.mark.parametrize("text", ["tftp = 1", "[[tftp]]\nport = 1"], ids=["value", "array"])
def test_what_should_be_a_table_and_is_none_is_refused(file: Path, text: str) -> None:
    assert mistake(file, text).startswith(f"{file}: tftp: ")


@pytest.mark.parametrize("text", ["tftp = 1", "[[tftp]]\nport = 1"], ids=["value", "array"])
def test_what_should_be_a_table_and_is_none_is_called_so(file: Path, text: str) -> None:
    assert "there is no such table" not in mistake(file, text)


# --- the default file


def test_the_default_file_shows_every_option_and_changes_nothing(file: Path) -> None:
    text = default_file_text()
    assert tomllib.loads(text) == {table: {} for table in ("general", "tftp", "http", "admin", "security")}
    assert loaded(file, text) == loaded(file)


def test_the_default_file_without_its_comment_signs_gives_the_defaults(file: Path) -> None:
    lines = [re.sub("^# ([a-z_]+ = )", r"\1", line) for line in default_file_text().splitlines()]
    text = "\n".join(lines)
    values = {f"{table}.{key}" for table, entries in tomllib.loads(text).items() for key in entries}
    assert values == set(IDS)
    assert loaded(file, text) == loaded(file)


def test_the_default_file_says_of_each_option_what_it_does() -> None:
    lines = default_file_text().splitlines()
    for option in OPTIONS:
        place = lines.index(f"# {option.as_toml()}", lines.index(f"[{option.table}]"))
        assert lines[place - 2 : place] == [f"# {option.doc}", f"# Allowed: {option.check.allowed}"]
