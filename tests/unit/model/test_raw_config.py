"""The schema of raw configs: what every key takes, what it refuses by its dotted name, and the plain types it gives.

The keys are written down here once more, by what they hold, so that a change of the schema shows.
"""

from __future__ import annotations

from typing import Any

import pytest

from provd.errors import InvalidValueError
from provd.model.raw_config import (
    CALL_MANAGER_KEYS,
    FUNCKEY_KEYS,
    GLOBAL_KEYS,
    LINE_KEYS,
    NUMBERED_GROUPS,
    check_raw_config,
)

PEM = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"

SERVERS = ("proxy", "backup_proxy", "registrar", "backup_registrar", "outbound_proxy")
HOSTS = [
    *("ip", "dns_ip", "ntp_ip", "syslog_ip", "X_xivo_phonebook_ip"),
    *(f"sip_{server}_ip" for server in SERVERS),
    *(f"sip_lines.1.{server}_ip" for server in SERVERS),
    "sccp_call_managers.1.ip",
]
PORTS = [
    *("http_port", "tftp_port", "syslog_port"),
    *(f"sip_{server}_port" for server in SERVERS),
    *(f"sip_lines.1.{server}_port" for server in SERVERS),
    "sccp_call_managers.1.port",
]
FLAGS = [
    "dns_enabled",
    "ntp_enabled",
    "vlan_enabled",
    "syslog_enabled",
    "sip_subscribe_mwi",
    "config_encryption_enabled",
]
TEXTS = [
    *("admin_username", "admin_password", "user_username", "user_password"),
    *("exten_dnd", "exten_fwd_unconditional", "exten_fwd_no_answer", "exten_fwd_busy", "exten_fwd_disable_all"),
    *("exten_park", "exten_pickup_group", "exten_pickup_call", "exten_voicemail", "X_xivo_user_uuid"),
    *(f"sip_lines.1.{key}" for key in ("username", "auth_username", "password", "display_name", "number", "voicemail")),
    *("funckeys.1.type", "funckeys.1.value", "funckeys.1.label"),
]
NUMBERS = {"vlan_id": (0, 4094), "vlan_priority": (0, 7), "vlan_pc_port_id": (0, 4094), "funckeys.1.line": (1, 999)}
NUMBERS |= dict.fromkeys(PORTS, (0, 65535))
NUMBERS["http_port"] = (1, 65535)
SRTP = ("disabled", "preferred", "required")
DTMF = ("RTP-in-band", "RTP-out-of-band", "SIP-INFO")
CHOICES = {
    "syslog_level": ("critical", "error", "warning", "info", "debug"),
    "protocol": ("SIP", "SCCP"),
    "sip_transport": ("udp", "tcp", "tls"),
    "sip_dtmf_mode": DTMF,
    "sip_srtp_mode": SRTP,
    "sip_lines.1.dtmf_mode": DTMF,
    "sip_lines.1.srtp_mode": SRTP,
}
OTHERS = {
    "http_base_url": ("http://192.0.2.10:8667", ["192.0.2.10", "ftp://192.0.2.10", 1]),
    "timezone": ("Europe/Paris", ["Europe/Atlantis", "../UTC", 1]),
    "locale": ("fr_CA", ["fr", "fr_CA.UTF-8", 1]),
    "sip_local_certificate": (PEM, ["x", 1, [PEM]]),
    "sip_local_key": (PEM, ["x", 1]),
    "sip_servers_root_and_intermediate_certificates": ([PEM], [1, {}, ["x"]]),
    "sip_local_root_and_intermediate_certificates": ([PEM, PEM], [1, {}, ["x"]]),
}


def with_value(field: str, value: Any) -> dict[str, Any]:
    """A raw config with one value, at its dotted name."""
    *groups, key = field.split(".")
    raw = {key: value}
    for group in reversed(groups):
        raw = {group: raw}
    return raw


def checked(field: str, value: Any) -> Any:
    result: Any = check_raw_config(with_value(field, value))
    for part in field.split("."):
        result = result[part]
    return result


def assert_refused(field: str, value: Any) -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_raw_config(with_value(field, value))
    assert caught.value.field == field or caught.value.field.startswith(f"{field}.")
    assert str(caught.value).startswith(f"{caught.value.field}: ")
    assert "; allowed: " in str(caught.value)


def test_these_are_all_the_keys() -> None:
    keys = {*GLOBAL_KEYS}
    for group, of_group in (
        ("sip_lines", LINE_KEYS),
        ("funckeys", FUNCKEY_KEYS),
        ("sccp_call_managers", CALL_MANAGER_KEYS),
    ):
        assert NUMBERED_GROUPS[group] is of_group
        keys |= {f"{group}.1.{key}" for key in of_group}
    assert keys == {*HOSTS, *FLAGS, *TEXTS, *NUMBERS, *CHOICES, *OTHERS}


@pytest.mark.parametrize("field", HOSTS)
def test_hosts(field: str) -> None:
    for value in ("192.0.2.10", "2001:db8::10", "pbx.example.org"):
        assert checked(field, value) == value
    for value in ("", "pbx example", "pbx\n", "http://pbx", 10, True, [], {}):
        assert_refused(field, value)


@pytest.mark.parametrize(("field", "limits"), NUMBERS.items(), ids=NUMBERS)
def test_numbers(field: str, limits: tuple[int, int]) -> None:
    low, high = limits
    for value in (low, high, str(low), str(high)):
        assert checked(field, value) == int(value)
        assert type(checked(field, value)) is int
    for value in (low - 1, high + 1, str(high + 1), "", "x", 1.0, True, [], {}):
        assert_refused(field, value)


@pytest.mark.parametrize("field", FLAGS)
def test_flags(field: str) -> None:
    for value in (True, 1, "1", "true"):
        assert checked(field, value) is True
    for value in (False, 0, "0", "false"):
        assert checked(field, value) is False
    for value in (2, "yes", "", [], {}):
        assert_refused(field, value)


@pytest.mark.parametrize("field", TEXTS)
def test_texts(field: str) -> None:
    for value, text in (("", ""), ("*10 é\"<&>'", "*10 é\"<&>'"), (1001, "1001")):
        assert checked(field, value) == text
    for value in ("a\nb", "a\rb", "a\0", "\u2028", True, 1.5, [], {}):
        assert_refused(field, value)


@pytest.mark.parametrize(("field", "allowed"), CHOICES.items(), ids=CHOICES)
def test_choices(field: str, allowed: tuple[str, ...]) -> None:
    for value in allowed:
        assert checked(field, value) == value
    for value in ("", allowed[0].swapcase(), f"{allowed[0]} ", 1, True, [allowed[0]], {}):
        assert_refused(field, value)


@pytest.mark.parametrize(("field", "values"), OTHERS.items(), ids=OTHERS)
def test_other_values(field: str, values: tuple[Any, list[Any]]) -> None:
    good, bad = values
    assert checked(field, good) == good
    for value in bad:
        assert_refused(field, value)


@pytest.mark.parametrize("field", [*HOSTS, *FLAGS, *TEXTS, *NUMBERS, *CHOICES, *OTHERS])
def test_null_is_as_good_as_missing(field: str) -> None:
    *group, key = field.split(".")
    result = check_raw_config(with_value(field, None))
    assert result == ({group[0]: {"1": {}}} if group else {})
    assert key not in result


def test_one_certificate_is_a_list_of_one() -> None:
    assert checked("sip_servers_root_and_intermediate_certificates", PEM) == [PEM]


def test_a_value_that_was_given_is_not_changed() -> None:
    raw = {"vlan_id": "10", "sip_lines": {"1": {"number": 100, "proxy_ip": None}}, "X_a": {"b": None}}
    check_raw_config(raw)
    assert raw == {"vlan_id": "10", "sip_lines": {"1": {"number": 100, "proxy_ip": None}}, "X_a": {"b": None}}


# --- numbered groups


@pytest.mark.parametrize("group", NUMBERED_GROUPS)
def test_a_group_is_in_the_order_of_its_numbers(group: str) -> None:
    result = check_raw_config({group: {"10": {}, "2": {}, "1": {}, "9999": {}}})
    assert list(result[group]) == ["1", "2", "10", "9999"]


@pytest.mark.parametrize("group", NUMBERED_GROUPS)
def test_an_entry_that_is_null_is_left_out(group: str) -> None:
    assert check_raw_config({group: {"1": None, "2": {}}}) == {group: {"2": {}}}


@pytest.mark.parametrize("group", NUMBERED_GROUPS)
@pytest.mark.parametrize("position", ["", "0", "00", "-1", "+1", "1.0", "a", " 1", "10000", "²", "١", "1\n"])
def test_a_number_of_an_entry_is_from_1_to_9999(group: str, position: str) -> None:
    with pytest.raises(InvalidValueError, match=rf"^{group}: .*; allowed: keys from 1 to 9999$"):
        check_raw_config({group: {position: {}}})


@pytest.mark.parametrize("group", NUMBERED_GROUPS)
@pytest.mark.parametrize("value", [[], "x", 1, True, [{}]])
def test_a_group_is_an_object(group: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=rf"^{group}: .*; allowed: an object with the keys"):
        check_raw_config({group: value})


@pytest.mark.parametrize("group", NUMBERED_GROUPS)
@pytest.mark.parametrize("value", [[], "x", 1, True])
def test_an_entry_of_a_group_is_an_object(group: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match=rf"^{group}\.7: .*; allowed: an object$"):
        check_raw_config({group: {"7": value}})


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        check_raw_config({"sip_lines": {"1" * 5000: {}}})


def test_two_ways_to_write_the_same_number_are_refused() -> None:
    with pytest.raises(InvalidValueError):
        check_raw_config({"sip_lines": {"1": {"username": "a"}, "01": {"username": "b"}}})
