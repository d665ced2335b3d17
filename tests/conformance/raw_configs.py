"""The raw configs that every plugin is tried with.

Their values are unmistakable: no value is part of another one, so that a value found in a file tells where it is from.
"""

from __future__ import annotations

from typing import Any

from provd.plugins.models import Model

RawConfig = dict[str, Any]

SERVER: RawConfig = {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69, "http_base_url": "http://192.0.2.10:8667"}

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"
OTHER_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nbm90IG9uZSBlaXRoZXI=\n-----END CERTIFICATE-----"
KEY = "-----BEGIN PRIVATE KEY-----\nbm90IGEga2V5\n-----END PRIVATE KEY-----\n"

SWITCHES: RawConfig = {
    "dns_enabled": True,
    "ntp_enabled": True,
    "vlan_enabled": True,
    "syslog_enabled": True,
    "sip_subscribe_mwi": True,
    "config_encryption_enabled": True,
}
GLOBALS: RawConfig = {
    "dns_ip": "198.51.100.201",
    "ntp_ip": "198.51.100.202",
    "vlan_id": 3011,
    "vlan_priority": 5,
    "vlan_pc_port_id": 3012,
    "syslog_ip": "198.51.100.203",
    "syslog_port": 10514,
    "syslog_level": "info",
    "admin_username": "chief",
    "admin_password": "chiefsecret",
    "user_username": "mate",
    "user_password": "matesecret",
    "timezone": "Europe/Paris",
    "locale": "fr_FR",
    "protocol": "SIP",
    "sip_proxy_ip": "198.51.100.211",
    "sip_proxy_port": 25061,
    "sip_backup_proxy_ip": "198.51.100.212",
    "sip_backup_proxy_port": 25062,
    "sip_registrar_ip": "198.51.100.213",
    "sip_registrar_port": 25063,
    "sip_backup_registrar_ip": "198.51.100.214",
    "sip_backup_registrar_port": 25064,
    "sip_outbound_proxy_ip": "198.51.100.215",
    "sip_outbound_proxy_port": 25065,
    "sip_dtmf_mode": "RTP-out-of-band",
    "sip_srtp_mode": "preferred",
    "sip_transport": "tls",
    "exten_dnd": "*7825",
    "exten_fwd_unconditional": "*7821",
    "exten_fwd_no_answer": "*7822",
    "exten_fwd_busy": "*7823",
    "exten_fwd_disable_all": "*7820",
    "exten_park": "7700",
    "exten_pickup_group": "*7800",
    "exten_pickup_call": "*7801",
    "exten_voicemail": "*7898",
    "X_xivo_phonebook_ip": "198.51.100.216",
    "X_xivo_user_uuid": "0f3a5a9c-51c3-4a6e-a4b1-7d1c2b0e6f5d",
}
CERTIFICATES: RawConfig = {
    "sip_servers_root_and_intermediate_certificates": [CERTIFICATE, OTHER_CERTIFICATE],
    "sip_local_root_and_intermediate_certificates": [OTHER_CERTIFICATE],
    "sip_local_certificate": CERTIFICATE,
    "sip_local_key": KEY,
}
ACCOUNT = {"username": "je5qtq", "password": "s3cr3t", "display_name": "Alice Martin"}
"""The least that a SIP line has, beside a proxy."""

LOCALES = (
    "de_DE", "en_GB", "en_US", "es_ES", "es_MX", "fr_BE", "fr_CA", "fr_FR", "it_IT", "nl_NL", "pl_PL", "pt_BR", "zh_CN",
)  # fmt: skip
TIMEZONES = ("UTC", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia")
DTMF_MODES = ("RTP-in-band", "RTP-out-of-band", "SIP-INFO")
SRTP_MODES = ("disabled", "preferred", "required")
TRANSPORTS = ("udp", "tcp", "tls")
SYSLOG_LEVELS = ("critical", "error", "warning", "info", "debug")
KEY_TYPES = ("speeddial", "blf", "park")


def line(number: int) -> RawConfig:
    """A SIP line with everything that one can have."""
    return {
        "proxy_ip": f"203.0.113.{100 + number}",
        "proxy_port": 41000 + number,
        "backup_proxy_ip": f"203.0.113.{130 + number}",
        "backup_proxy_port": 42000 + number,
        "registrar_ip": f"203.0.113.{160 + number}",
        "registrar_port": 43000 + number,
        "backup_registrar_ip": f"203.0.113.{190 + number}",
        "backup_registrar_port": 44000 + number,
        "outbound_proxy_ip": f"203.0.113.{220 + number}",
        "outbound_proxy_port": 45000 + number,
        "username": f"user{number:02}u",
        "auth_username": f"auth{number:02}a",
        "password": f"secret{number:02}s",
        "display_name": f"Person {number:02} Name",
        "number": f"61{number:02}",
        "dtmf_mode": DTMF_MODES[number % 3],
        "srtp_mode": SRTP_MODES[number % 3],
        "voicemail": f"*6398{number:02}",
    }


def function_key(number: int) -> RawConfig:
    """A function key with everything that one can have; their types take turns."""
    return {
        "type": KEY_TYPES[number % 3],
        "value": f"82{number:03}",
        "label": f"Key {number:03} Label",
        "line": 1 + number % 2,
    }


def all_lines(model: Model, more: int = 0) -> RawConfig:
    """A full line for each that the model has, and some more."""
    return {str(number): line(number) for number in range(1, model.lines + more + 1)}


def all_keys(model: Model, more: int = 5) -> RawConfig:
    """A key for each that the model has, its expansion modules included, and some more."""
    last = model.own_keys + model.modules * model.module_keys + more
    return {str(number): function_key(number) for number in range(1, last + 1)}


def everything(model: Model) -> RawConfig:
    """Every key of the schema."""
    managers = {"1": {"ip": "203.0.113.98", "port": 20001}, "2": {"ip": "203.0.113.99", "port": 20002}}
    return {
        **SERVER,
        **SWITCHES,
        **GLOBALS,
        **CERTIFICATES,
        "sip_lines": all_lines(model),
        "funckeys": all_keys(model),
        "sccp_call_managers": managers,
    }


def every_field(model: Model) -> RawConfig:
    """Every key of the schema, with few lines and keys: as good as `everything`, but for counting, and quicker."""
    keys = {str(number): function_key(number) for number in (1, 2, 3)}
    return {**everything(model), "sip_lines": {"1": line(1)}, "funckeys": keys}


def globals_only() -> RawConfig:
    """All that lines can share, and one line that adds nothing to it."""
    return {**SERVER, **SWITCHES, **GLOBALS, "sip_lines": {"1": ACCOUNT}}


def raw_configs(model: Model) -> dict[str, RawConfig]:
    """All raw configs by name. The names do not depend on the model."""
    one_line = {**SERVER, "sip_proxy_ip": "192.0.2.10", "sip_lines": {"1": ACCOUNT}}
    return {
        "empty": SERVER,
        "autoprov": _autoprov(),
        "one line": one_line,
        "globals only": globals_only(),
        "everything": everything(model),
        "everything switched off": {**everything(model), **dict.fromkeys(SWITCHES, False)},
        "too many lines": {**SERVER, "sip_lines": all_lines(model, more=3)},
        "only the last line": {**SERVER, "sip_lines": {str(model.lines): line(model.lines)}},
        "all keys and a directory": {**globals_only(), "funckeys": all_keys(model)},
        "unknown key types": {**one_line, "funckeys": {"1": {"type": "dance"}, "2": {"type": "", "value": "1"}}},
        "no addresses in dots": {**one_line, "ip": "pbx.example.org", "sip_proxy_ip": "2001:db8::10"},
        "HTTPS and a path": {**one_line, "http_base_url": "https://pbx.example.org/provd/k3y"},
        "a custom key": {**one_line, "X_site": {"floor": 3}, "X_list": ["a", 1, None]},
        "SCCP": {**SERVER, "protocol": "SCCP", "sccp_call_managers": {"1": {"ip": "192.0.2.10"}}},
        **{f"locale {value}": {**one_line, "locale": value} for value in LOCALES},
        **{f"time zone {value}": {**one_line, "timezone": value} for value in TIMEZONES},
        **{f"DTMF {value}": {**one_line, "sip_dtmf_mode": value} for value in DTMF_MODES},
        **{f"SRTP {value}": {**one_line, "sip_srtp_mode": value} for value in SRTP_MODES},
        **{f"transport {value}": {**one_line, "sip_transport": value} for value in TRANSPORTS},
        **{f"with {key}": {**one_line, "sip_transport": "tls", key: CERTIFICATES[key]} for key in CERTIFICATES},
        **{f"syslog {value}": {**one_line, **_syslog(value)} for value in SYSLOG_LEVELS},
        "VLAN 0": {**one_line, "vlan_enabled": True, "vlan_id": 0},
    }


def secrets(raw: RawConfig) -> list[str]:
    """All passwords and private keys in a raw config."""
    found = [raw[key] for key in ("admin_password", "user_password") if key in raw]
    found += [line_["password"] for line_ in raw.get("sip_lines", {}).values() if "password" in line_]
    return found + raw.get("sip_local_key", "").splitlines()[1:-1]


def _syslog(level: str) -> RawConfig:
    return {"syslog_enabled": True, "syslog_ip": "192.0.2.10", "syslog_level": level}


def _autoprov() -> RawConfig:
    """What a phone gets that is not known yet, as the PBX's wizard sets it up."""
    account = {
        "display_name": "Autoprov",
        "number": "autoprov",
        "username": "apmkq3zx1471000000",
        "password": "x7dk2m9q",
        "proxy_ip": "192.0.2.10",
        "registrar_ip": "192.0.2.10",
    }
    return {
        **SERVER,
        "ntp_enabled": True,
        "ntp_ip": "192.0.2.10",
        "X_xivo_phonebook_ip": "192.0.2.10",
        "sip_dtmf_mode": "RTP-out-of-band",
        "admin_username": "admin",
        "admin_password": "48151",
        "user_username": "user",
        "user_password": "62342",
        "sip_lines": {"1": account},
        "sccp_call_managers": {"1": {"ip": "192.0.2.10"}},
    }
