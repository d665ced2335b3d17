"""Raw configs to try templates with."""

from __future__ import annotations

from typing import Any

from provd.model.raw_config import prepare_raw_config
from provd.plugins.models import Model

_SERVER = {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69}
_PEM = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


def typical_raw_config(model: Model | None) -> dict[str, Any]:
    """That of a phone in daily use, with something of everything, prepared for plugins."""
    lines = {str(number): _line(number) for number in range(1, min(model.lines if model else 2, 3) + 1)}
    keys = {
        "1": {"type": "speeddial", "value": "1002", "label": "Bob"},
        "2": {"type": "blf", "value": "1003", "label": "Carol", "line": 1},
        "3": {"type": "park", "value": "701"},
    }
    return prepare_raw_config(
        {
            **_SERVER,
            "dns_enabled": True, "dns_ip": "192.0.2.1",
            "ntp_enabled": True, "ntp_ip": "192.0.2.10",
            "vlan_enabled": True, "vlan_id": 100, "vlan_priority": 5, "vlan_pc_port_id": 200,
            "syslog_enabled": True, "syslog_ip": "192.0.2.10", "syslog_port": 514, "syslog_level": "warning",
            "admin_username": "admin", "admin_password": "48151", "user_username": "user", "user_password": "62342",
            "timezone": "Europe/Paris", "locale": "fr_FR", "protocol": "SIP",
            "sip_proxy_ip": "192.0.2.10", "sip_proxy_port": 5060,
            "sip_backup_proxy_ip": "192.0.2.11", "sip_backup_proxy_port": 5060,
            "sip_registrar_ip": "192.0.2.10", "sip_registrar_port": 5060,
            "sip_backup_registrar_ip": "192.0.2.11", "sip_backup_registrar_port": 5060,
            "sip_outbound_proxy_ip": "192.0.2.12", "sip_outbound_proxy_port": 5060,
            "sip_dtmf_mode": "RTP-out-of-band", "sip_srtp_mode": "disabled", "sip_transport": "udp",
            "sip_servers_root_and_intermediate_certificates": [_PEM],
            "sip_subscribe_mwi": True,
            "exten_dnd": "*25", "exten_fwd_unconditional": "*21", "exten_fwd_no_answer": "*22",
            "exten_fwd_busy": "*23", "exten_fwd_disable_all": "*20", "exten_park": "700",
            "exten_pickup_group": "*7", "exten_pickup_call": "*8", "exten_voicemail": "*98",
            "config_encryption_enabled": False,
            "X_xivo_phonebook_ip": "192.0.2.10", "X_xivo_user_uuid": "0f3a5a9c-51c3-4a6e-a4b1-7d1c2b0e6f5d",
            "sip_lines": lines, "funckeys": keys, "sccp_call_managers": {"1": {"ip": "192.0.2.10"}},
        }
    )  # fmt: skip


def least_raw_config() -> dict[str, Any]:
    """That of a phone with one line and nothing else, as one that is not assigned to anybody yet has it."""
    line = {"username": "autoprov", "password": "autoprov", "display_name": "Autoprov", "proxy_ip": "192.0.2.10"}
    return prepare_raw_config({**_SERVER, "sip_lines": {"1": line}})


def _line(number: int) -> dict[str, Any]:
    return {
        "username": f"user{number}", "auth_username": f"user{number}", "password": f"s3cr3t{number}",
        "display_name": "Alice Martin", "number": f"100{number}", "voicemail": "*98",
        "proxy_ip": "192.0.2.10", "proxy_port": 5060, "registrar_ip": "192.0.2.10", "registrar_port": 5060,
        "backup_proxy_ip": "192.0.2.11", "backup_proxy_port": 5060,
        "backup_registrar_ip": "192.0.2.11", "backup_registrar_port": 5060,
        "outbound_proxy_ip": "192.0.2.12", "outbound_proxy_port": 5060,
        "dtmf_mode": "RTP-out-of-band", "srtp_mode": "disabled",
    }  # fmt: skip
