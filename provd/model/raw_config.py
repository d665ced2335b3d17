"""The schema of raw configs: the values that plugins turn into a phone's files.

Two checks: `check_raw_config` when a config is stored (each value alone), `prepare_raw_config` when a device is
configured (what is needed together, and the defaults). Keys that are not in the tables are the administrator's:
they are kept, and only control characters in them are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from provd.errors import InvalidValueError, MissingValueError
from provd.model.address import url_host
from provd.model.document import check_document, without_control_characters
from provd.model.values import (
    certificates,
    choice,
    flag,
    host,
    locale,
    number,
    pem,
    text,
    timezone,
    url,
)

Check = Callable[[str, Any], Any]

_PORT = number(0, 65535)
_SRTP = choice("disabled", "preferred", "required")
_DTMF = choice("RTP-in-band", "RTP-out-of-band", "SIP-INFO")

GLOBAL_KEYS: Mapping[str, Check] = {
    "ip": host, "http_port": number(1, 65535), "tftp_port": _PORT, "http_base_url": url,
    "dns_enabled": flag, "dns_ip": host,
    "ntp_enabled": flag, "ntp_ip": host,
    "vlan_enabled": flag, "vlan_id": number(0, 4094), "vlan_priority": number(0, 7),
    "vlan_pc_port_id": number(0, 4094),
    "syslog_enabled": flag, "syslog_ip": host, "syslog_port": _PORT,
    "syslog_level": choice("critical", "error", "warning", "info", "debug"),
    "admin_username": text, "admin_password": text, "user_username": text, "user_password": text,
    "timezone": timezone, "locale": locale, "protocol": choice("SIP", "SCCP"),
    "sip_proxy_ip": host, "sip_proxy_port": _PORT,
    "sip_backup_proxy_ip": host, "sip_backup_proxy_port": _PORT,
    "sip_registrar_ip": host, "sip_registrar_port": _PORT,
    "sip_backup_registrar_ip": host, "sip_backup_registrar_port": _PORT,
    "sip_outbound_proxy_ip": host, "sip_outbound_proxy_port": _PORT,
    "sip_dtmf_mode": _DTMF, "sip_srtp_mode": _SRTP, "sip_transport": choice("udp", "tcp", "tls"),
    "sip_servers_root_and_intermediate_certificates": certificates,
    "sip_local_root_and_intermediate_certificates": certificates,
    "sip_local_certificate": pem, "sip_local_key": pem,
    "sip_subscribe_mwi": flag,
    "exten_dnd": text, "exten_fwd_unconditional": text, "exten_fwd_no_answer": text, "exten_fwd_busy": text,
    "exten_fwd_disable_all": text, "exten_park": text, "exten_pickup_group": text, "exten_pickup_call": text,
    "exten_voicemail": text,
    "config_encryption_enabled": flag,
    "X_xivo_phonebook_ip": host, "X_xivo_user_uuid": text,
}  # fmt: skip

LINE_KEYS: Mapping[str, Check] = {
    "proxy_ip": host, "proxy_port": _PORT, "backup_proxy_ip": host, "backup_proxy_port": _PORT,
    "registrar_ip": host, "registrar_port": _PORT, "backup_registrar_ip": host, "backup_registrar_port": _PORT,
    "outbound_proxy_ip": host, "outbound_proxy_port": _PORT,
    "username": text, "auth_username": text, "password": text, "display_name": text, "number": text,
    "dtmf_mode": _DTMF, "srtp_mode": _SRTP, "voicemail": text,
}  # fmt: skip

FUNCKEY_KEYS: Mapping[str, Check] = {"type": text, "value": text, "label": text, "line": number(1, 999)}

CALL_MANAGER_KEYS: Mapping[str, Check] = {"ip": host, "port": _PORT}

NUMBERED_GROUPS: Mapping[str, Mapping[str, Check]] = {
    "sip_lines": LINE_KEYS,
    "funckeys": FUNCKEY_KEYS,
    "sccp_call_managers": CALL_MANAGER_KEYS,
}
"""Dicts from a number (as text, from "1") to an object with these keys."""


def check_raw_config(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return `raw` with each known value in its plain type; nulls are left out.

    Numbers may be given as texts, and texts as numbers, as existing clients do.

    Raises:
        InvalidValueError: a value is not allowed; its field is dotted, such as `sip_lines.1.username`.
    """
    check_document("", raw)
    checked = {}
    for key, value in raw.items():
        without_control_characters("a key", key)
        if value is None:
            continue
        if key in NUMBERED_GROUPS:
            checked[key] = _check_group(key, value, NUMBERED_GROUPS[key])
        elif key in GLOBAL_KEYS:
            checked[key] = GLOBAL_KEYS[key](key, value)
        else:
            checked[key] = _check_custom(key, value)
    return checked


def prepare_raw_config(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a flattened raw config as plugins get it: checked, complete, with its defaults.

    Raises:
        InvalidValueError: a value is not allowed.
        MissingValueError: a value that others ask for is missing.
    """
    prepared = check_raw_config(raw)
    for key in ("ip", "http_port", "tftp_port"):
        _require(prepared, key, "the address or port that phones are told to use")
    for switch, needed in (("dns", "ip"), ("ntp", "ip"), ("vlan", "id"), ("syslog", "ip")):
        if prepared.get(f"{switch}_enabled"):
            _require(prepared, f"{switch}_{needed}", f"because {switch}_enabled is true")
    _add_defaults(prepared)
    for number_, line in prepared["sip_lines"].items():
        _prepare_line(f"sip_lines.{number_}", line, prepared)
    for number_, manager in prepared["sccp_call_managers"].items():
        _require(manager, "ip", "the call manager's address", f"sccp_call_managers.{number_}.")
    for number_, key in prepared["funckeys"].items():
        prefix = f"funckeys.{number_}."
        _require(key, "type", "the key's function", prefix)
        if key["type"] in ("speeddial", "blf"):
            _require(key, "value", f"because the type is {key['type']}", prefix)
    return prepared


def _add_defaults(prepared: dict[str, Any]) -> None:
    # Made here and not in the base, so that a config's own `ip` and `http_port` are what its phones are told.
    prepared.setdefault("http_base_url", f"http://{url_host(prepared['ip'])}:{prepared['http_port']}")
    for group in NUMBERED_GROUPS:
        prepared.setdefault(group, {})
    if prepared.get("syslog_enabled"):
        prepared.setdefault("syslog_port", 514)
        prepared.setdefault("syslog_level", "warning")
    if "sip_proxy_ip" in prepared:
        prepared.setdefault("sip_registrar_ip", prepared["sip_proxy_ip"])
    prepared.setdefault("sip_srtp_mode", "disabled")
    prepared.setdefault("sip_transport", "udp")


def _prepare_line(field: str, line: dict[str, Any], prepared: Mapping[str, Any]) -> None:
    if "proxy_ip" not in line and "sip_proxy_ip" not in prepared:
        raise MissingValueError(f"{field}.proxy_ip", "an address here or in sip_proxy_ip")
    if prepared.get("protocol", "SIP") == "SIP":
        for key in ("username", "password", "display_name"):
            _require(line, key, "each SIP line has one", f"{field}.")
    if "proxy_ip" in line:
        line.setdefault("registrar_ip", line["proxy_ip"])
    if "username" in line:
        line.setdefault("auth_username", line["username"])


def _require(values: Mapping[str, Any], key: str, why: str, prefix: str = "") -> None:
    if key not in values:
        raise MissingValueError(prefix + key, why)


def _check_group(field: str, value: object, keys: Mapping[str, Check]) -> dict[str, Any]:
    """The checked objects of a numbered group, in the order of their numbers."""
    if not isinstance(value, Mapping):
        raise InvalidValueError(field, value, 'an object with the keys "1", "2", …')
    checked: dict[int, dict[str, Any]] = {}
    for position, item in value.items():
        if item is None:
            continue
        if not (position.isascii() and position.isdecimal() and position[0] != "0" and len(position) <= 4):
            raise InvalidValueError(field, position, "keys from 1 to 9999")
        if not isinstance(item, Mapping):
            raise InvalidValueError(f"{field}.{position}", item, "an object")
        checked[int(position)] = _check_item(f"{field}.{position}", item, keys)
    return {str(position): checked[position] for position in sorted(checked)}


def _check_item(field: str, item: Mapping[str, Any], keys: Mapping[str, Check]) -> dict[str, Any]:
    return {
        without_control_characters(field, key): keys[key](f"{field}.{key}", value)
        if key in keys
        else _check_custom(f"{field}.{key}", value)
        for key, value in item.items()
        if value is not None
    }


def _check_custom(field: str, value: Any) -> Any:
    """A value of the administrator's own: any JSON, but no control character in any text of it."""
    if isinstance(value, str):
        return without_control_characters(field, value)
    if isinstance(value, Mapping):
        return {
            without_control_characters(field, key): _check_custom(f"{field}.{key}", item) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_check_custom(field, item) for item in value]
    return value
