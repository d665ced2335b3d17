"""What a raw config must have when a device is configured, and what it gets by default."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from provd.errors import InvalidValueError, MissingValueError
from provd.model.raw_config import prepare_raw_config

SERVER = {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69}
LINE = {"username": "je5qtq", "password": "hunter2", "display_name": "Alice", "proxy_ip": "192.0.2.10"}


def prepared(**values: Any) -> dict[str, Any]:
    return prepare_raw_config({**SERVER, **values})


def missing(**values: Any) -> str:
    """The field that is said to be missing."""
    with pytest.raises(MissingValueError) as caught:
        prepared(**values)
    assert str(caught.value).startswith(f"{caught.value.field}: missing; needed: ")
    return caught.value.field


# --- defaults


def test_the_least_config_gets_its_defaults() -> None:
    assert prepared() == {
        **SERVER,
        "http_base_url": "http://192.0.2.10:8667",
        "sip_lines": {},
        "funckeys": {},
        "sccp_call_managers": {},
        "sip_srtp_mode": "disabled",
        "sip_transport": "udp",
    }


def test_values_that_are_given_are_no_defaults() -> None:
    given = {
        "sip_srtp_mode": "required",
        "sip_transport": "tls",
        "sip_proxy_ip": "192.0.2.11",
        "sip_registrar_ip": "192.0.2.12",
        "syslog_enabled": True,
        "syslog_ip": "192.0.2.13",
        "syslog_port": 1514,
        "syslog_level": "debug",
    }
    assert prepared(**given).items() >= given.items()


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"ip": "203.0.113.5"}, "http://203.0.113.5:8667"),
        ({"http_port": "80"}, "http://192.0.2.10:80"),
        ({"ip": "pbx.example"}, "http://pbx.example:8667"),
        ({"ip": "2001:db8::1"}, "http://[2001:db8::1]:8667"),
        ({"http_base_url": None}, "http://192.0.2.10:8667"),
        ({"ip": "203.0.113.5", "http_base_url": "https://pbx.example/k3y"}, "https://pbx.example/k3y"),
    ],
)
def test_the_url_is_made_of_address_and_port_unless_it_is_given(given: dict[str, Any], url: str) -> None:
    raw = prepared(**given)
    assert raw["http_base_url"] == url
    assert prepare_raw_config(raw) == raw


def test_syslog_has_a_port_and_a_level() -> None:
    raw = prepared(syslog_enabled=True, syslog_ip="192.0.2.13")
    assert (raw["syslog_port"], raw["syslog_level"]) == (514, "warning")


@pytest.mark.parametrize("values", [{}, {"syslog_enabled": False}, {"syslog_enabled": "0", "syslog_ip": "192.0.2.13"}])
def test_without_syslog_there_are_no_defaults_for_it(values: dict[str, Any]) -> None:
    assert not {"syslog_port", "syslog_level"} & set(prepared(**values))


def test_the_registrar_is_the_proxy() -> None:
    assert prepared(sip_proxy_ip="192.0.2.11")["sip_registrar_ip"] == "192.0.2.11"
    assert "sip_registrar_ip" not in prepared()


def test_a_lines_registrar_is_its_own_proxy() -> None:
    line = prepared(sip_lines={"1": LINE}, sip_proxy_ip="192.0.2.11")["sip_lines"]["1"]
    assert line == {**LINE, "registrar_ip": "192.0.2.10", "auth_username": "je5qtq"}


def test_a_line_without_a_proxy_of_its_own_gets_no_registrar() -> None:
    own = {key: value for key, value in LINE.items() if key != "proxy_ip"}
    line = prepared(sip_lines={"1": own}, sip_proxy_ip="192.0.2.11")["sip_lines"]["1"]
    assert line == {**own, "auth_username": "je5qtq"}


def test_a_lines_own_values_are_no_defaults() -> None:
    own = {**LINE, "registrar_ip": "192.0.2.12", "auth_username": "alice"}
    assert prepared(sip_lines={"1": own})["sip_lines"]["1"] == own


def test_null_gets_the_default_too() -> None:
    raw = prepared(sip_lines=None, sip_transport=None, funckeys=None)
    assert (raw["sip_lines"], raw["sip_transport"], raw["funckeys"]) == ({}, "udp", {})


def test_the_raw_config_that_was_given_is_not_changed() -> None:
    given = {**SERVER, "sip_lines": {"1": dict(LINE)}, "X_a": {"b": [1]}, "syslog_enabled": True, "syslog_ip": "::1"}
    before = copy.deepcopy(given)
    result = prepare_raw_config(given)
    result["sip_lines"]["1"]["username"] = "changed"
    result["X_a"]["b"].append(2)
    assert given == before


# --- what is needed


@pytest.mark.parametrize("key", SERVER)
def test_phones_must_be_told_the_server(key: str) -> None:
    with pytest.raises(MissingValueError, match=rf"^{key}: missing; needed: "):
        prepare_raw_config({name: value for name, value in SERVER.items() if name != key})


@pytest.mark.parametrize(
    ("switch", "needed"), [("dns", "dns_ip"), ("ntp", "ntp_ip"), ("vlan", "vlan_id"), ("syslog", "syslog_ip")]
)
def test_what_is_enabled_needs_its_value(switch: str, needed: str) -> None:
    assert missing(**{f"{switch}_enabled": True}) == needed
    assert missing(**{f"{switch}_enabled": "1", needed: None}) == needed
    prepared(**{f"{switch}_enabled": False})


def test_vlan_id_zero_is_a_vlan_id() -> None:
    assert prepared(vlan_enabled=True, vlan_id=0)["vlan_id"] == 0


@pytest.mark.parametrize("key", ["username", "password", "display_name"])
@pytest.mark.parametrize("protocol", [{}, {"protocol": "SIP"}], ids=["no protocol", "SIP"])
def test_a_sip_line_needs_its_account(key: str, protocol: dict[str, str]) -> None:
    line = {name: value for name, value in LINE.items() if name != key}
    assert missing(sip_lines={"1": LINE, "2": line}, **protocol) == f"sip_lines.2.{key}"


def test_a_line_needs_a_proxy() -> None:
    line = {name: value for name, value in LINE.items() if name != "proxy_ip"}
    assert missing(sip_lines={"3": line}) == "sip_lines.3.proxy_ip"


def test_sip_lines_of_an_sccp_phone_need_no_account() -> None:
    raw = prepared(protocol="SCCP", sip_lines={"1": {"proxy_ip": "192.0.2.10"}})
    assert raw["sip_lines"]["1"] == {"proxy_ip": "192.0.2.10", "registrar_ip": "192.0.2.10"}


def test_a_call_manager_needs_its_address() -> None:
    assert missing(sccp_call_managers={"1": {"ip": "192.0.2.10"}, "2": {"port": 2000}}) == "sccp_call_managers.2.ip"


def test_a_function_key_needs_its_type() -> None:
    assert missing(funckeys={"4": {"value": "100"}}) == "funckeys.4.type"


@pytest.mark.parametrize("kind", ["speeddial", "blf"])
def test_a_function_key_that_dials_needs_a_number(kind: str) -> None:
    assert missing(funckeys={"4": {"type": kind}}) == "funckeys.4.value"
    assert prepared(funckeys={"4": {"type": kind, "value": 100}})["funckeys"]["4"]["value"] == "100"


@pytest.mark.parametrize("kind", ["park", "something new"])
def test_other_function_keys_need_none(kind: str) -> None:
    assert prepared(funckeys={"4": {"type": kind}})["funckeys"] == {"4": {"type": kind}}


def test_a_value_that_is_not_allowed_is_refused_before_anything_is_missed() -> None:
    with pytest.raises(
        InvalidValueError, match=r"^vlan_id: 4095 is not allowed; allowed: a whole number from 0 to 4094$"
    ):
        prepare_raw_config({"vlan_id": 4095})
