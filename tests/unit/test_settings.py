"""The settings files and the command line: what wins, and what a message says of a mistake."""

from __future__ import annotations

import errno
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from provd import settings as module
from provd.errors import SettingsError
from provd.option_types import Option
from provd.settings import OPTIONS, Settings, default_file_text, load_settings, plugins_folder, store_path

TABLES = "[general], [tftp], [http], [admin], [dhcp], [admission], [security]"
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


def test_the_files_that_were_read_are_known(file: Path, conf_d: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (conf_d / "b.toml").touch()
    (conf_d / "a.toml").touch()
    monkeypatch.setattr(module, "DEFAULT_FILE", file)
    assert load_settings(None, {}).files == [file, conf_d / "a.toml", conf_d / "b.toml"]
    file.unlink()
    assert load_settings(None, {}).files == [conf_d / "a.toml", conf_d / "b.toml"]


def test_a_folder_of_settings_that_nobody_may_see_is_named(
    file: Path, conf_d: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(module.os, "listdir", refuse)  # root, who runs the tests in containers, may see all
    assert mistake(file, "") == f"{conf_d}: Permission denied"


def test_a_default_file_that_nobody_may_see_is_not_taken_for_a_missing_one(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(module, "DEFAULT_FILE", file)
    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(SettingsError) as caught:
        load_settings(None, {})
    assert str(caught.value) == f"{file}: Permission denied"


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
    message = mistake(file, "[sip]\nport = 1\n")
    assert message == f"{file}: sip: there is no such table; allowed: {TABLES}"
    assert mistake(file, "[ftp]\nport = 1\n") == (
        f"{file}: ftp: there is no such table; allowed: {TABLES}; did you mean 'tftp'?"
    )
    assert mistake(file, "[[genral]]\n") == (
        f"{file}: genral: there is no such table; allowed: {TABLES}; did you mean 'general'?"
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('state_dir = "/srv"', "state_dir: stands before any [table]; state_dir belongs into [general]"),
        ("port = 1", "port: stands before any [table]; port belongs into [tftp] or [http] or [admin]"),
        ("colour = 1", f"colour: stands before any [table]; every option stands in one of {TABLES}"),
    ],
)
def test_an_option_before_any_table_is_named_with_its_table(file: Path, line: str, message: str) -> None:
    assert mistake(file, f"{line}\n[tftp]\n") == f"{file}: {message}"


def test_an_unknown_option_is_named_with_those_that_there_are(file: Path) -> None:
    message = mistake(file, "[admin]\nprot = 1\n")
    assert message == f"{file}: admin.prot: there is no such option; allowed: port, address; did you mean 'port'?"
    message = mistake(file, "[admin]\ncolour = 1\n")
    assert message == f"{file}: admin.colour: there is no such option; allowed: port, address"


def test_an_option_of_another_table_is_named_with_its_table(file: Path) -> None:
    message = mistake(file, '[admin]\nlog_level = "info"\n')
    assert message.endswith("allowed: port, address; log_level belongs into [general]")


def test_the_file_is_named_with_its_full_path(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    assert mistake(Path(file.name), "port = 1").startswith(f"{file}: port: ")


def test_a_name_that_would_break_the_line_does_not(file: Path) -> None:
    for text in ('"a\\nb" = 1', '["a\\nb"]', '[tftp]\n"a\\nb" = 1'):
        assert "\n" not in mistake(file, text)


def test_every_mistake_is_told_in_a_line_of_its_own(file: Path, conf_d: Path) -> None:
    (conf_d / "a.toml").write_text("[tftp\n")
    (conf_d / "b.toml").write_text('[tftp]\nport = "69"\n[sip]\n')
    file.write_text('port = 1\n[admin]\nprot = 1\nport = -1\n[http]\nport = 8666\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {"tftp.port": "x", "general.log_level": "loud"})
    beginnings = [
        f"{file}: port: stands before", f"{file}: admin.prot: ", f"{file}: admin.port: -1 ",
        f"{conf_d}/a.toml: Expected ", f"{conf_d}/b.toml: tftp.port: '69' ", f"{conf_d}/b.toml: sip: ",
        "--tftp-port: 'x' ", "--log-level: 'loud' ",
    ]  # fmt: skip
    lines = str(caught.value).split("\n")
    assert [line.startswith(beginning) for line, beginning in zip(lines, beginnings, strict=True)] == [True] * 8
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[general]\nstate_dir = /var/lib  # here",
            "Invalid value (at line 2, column 13): 'state_dir = /var/lib  # here'; "
            'a text needs quotes: state_dir = "/var/lib"',
        ),
        (
            "[general]\r\n\r\nbind = 192.0.2.1\r\n",
            "Expected newline or end of document after a statement (at line 3, column 13): 'bind = 192.0.2.1'; "
            'a text needs quotes: bind = "192.0.2.1"',
        ),
        (
            "[tftp]\nport_range = 1-2\n",
            "Expected newline or end of document after a statement (at line 2, column 15): 'port_range = 1-2'; "
            'a text needs quotes: port_range = "1-2"',
        ),
        (
            "[tftp]\nsingle_port = yes\n",
            "Invalid value (at line 2, column 15): 'single_port = yes'; allowed: true or false",
        ),
        ("state_dir = ", "Invalid value (at end of document): 'state_dir ='"),
        (
            '[general]\nbind = ""\nstate_dir = "/var/lib\n',
            "Illegal character '\\n' (at line 3, column 22): 'state_dir = \"/var/lib'",
        ),
        (
            "[tftp]\nport = 1\n# a comment\nport = 2\n",
            "Cannot overwrite a value (at line 4, column 9): 'port = 2'; port is there already, in line 2",
        ),
        (
            "[tftp]\nport = 1\n[http]\nport = 1\nport = 2",
            "Cannot overwrite a value (at end of document): 'port = 2'; port is there already, in line 4",
        ),
        ("[tftp]\n[tftp]\n", "Cannot declare ('tftp',) twice (at line 2, column 6): '[tftp]'"),
        ("[tftp]\nport = 1\n[tftp.port]\n", "Cannot overwrite a value (at line 3, column 11): '[tftp.port]'"),
    ],
)
def test_what_is_no_toml_is_shown_with_its_line_and_advice(file: Path, text: str, message: str) -> None:
    file.write_text(text, newline="")
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {})
    assert str(caught.value) == f"{file}: {message}"


def test_an_over_long_line_is_cut(file: Path) -> None:
    assert len(mistake(file, "x = y" + "z" * 10_000)) < len(str(file)) + 400


def test_lists_that_are_nested_too_deep_are_a_mistake(file: Path) -> None:
    assert mistake(file, "x = " + "[" * 100_000).startswith(f"{file}: ")


# --- contradictions


@pytest.mark.parametrize(
    ("bind", "address", "clash"),
    [
        ("", "127.0.0.1", True),
        ("127.0.0.1", "", True),
        ("::", "127.0.0.1", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "127.0.0.1", False),
        ("0.0.0.0", "::1", False),
    ],
)
def test_two_doors_cannot_have_the_same_port_of_an_address(file: Path, bind: str, address: str, clash: bool) -> None:
    text = f'[general]\nbind = "{bind}"\n[http]\nport = 28667\n[admin]\naddress = "{address}"\nport = 28667\n'
    if clash:
        assert mistake(file, text).startswith("admin.port and http.port are both 28667; ")
    else:
        assert loaded(file, text)["admin.port"] == 28667


def test_free_ports_and_those_of_another_protocol_are_not_the_same(file: Path) -> None:
    loaded(file, "[http]\nport = 0\n[admin]\nport = 0\n")
    loaded(file, "[http]\nport = 8667\n[tftp]\nport = 8667\n")


@pytest.mark.parametrize(
    ("text", "field", "value", "allowed"),
    [
        ("[tftp]\nport = 70000", "tftp.port", "70000", "a whole number from 0 to 65535"),
        ('[tftp]\nport = "26969"', "tftp.port", "'26969'", "a whole number from 0 to 65535, without quotes"),
        ('[general]\nexternal_ip = "300.1.1.1"', "general.external_ip", "'300.1.1.1'", "an address, a host name"),
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
    assert tomllib.loads(text) == {table: {} for table in TABLES.replace("[", "").replace("]", "").split(", ")}
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
        told = [f"# {option.doc}", f"# Allowed: {option.check.allowed}"] + ["# A reload is enough."] * option.reloadable
        assert lines[place - len(told) - 1 : place] == ["", *told]


@pytest.mark.parametrize("line", ["http_proxy = http://joe:secret@h:1", 'http_proxy = "https://joe:secret@h:1"'])
def test_a_mistake_in_a_proxy_does_not_show_its_password(file: Path, line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(file, f"[general]\n{line}\n")
    assert "http_proxy" in str(caught.value)
    assert "joe:secret" not in str(caught.value)


def test_required_signatures_need_keys(file: Path) -> None:
    with pytest.raises(SettingsError, match=r"plugin_signature is required, but general\.plugin_keyring"):
        loaded(file, '[general]\nplugin_signature = "required"\n')
    assert loaded(file, '[general]\nplugin_signature = "required"\nplugin_keyring = "/k"\n')
