"""The configs that every system begins with."""

from __future__ import annotations

import secrets
import string
from typing import Any

from provd.model.config import AUTOCREATE_ROLE, Config

STANDARD_IDS = ("base", "default", "defaultconfigdevice", "autoprov")
_ADDRESS_KEYS = ("raw_config", "proxy_main", "registrar_main")
_ALPHABET = string.ascii_letters + string.digits
_PASSWORD_LENGTH = 16
_ACCOUNT_LENGTH = 8


def standard_configs(server_address: str) -> list[Config]:
    """`base`, `default`, `defaultconfigdevice` and `autoprov`, with credentials of their own.

    `server_address` is where the PBX and its time and directory services are, as seen from the phones.
    """
    return [
        {
            "id": "base",
            "X_type": "internal",
            "deletable": False,
            "parent_ids": [],
            "raw_config": {
                "ntp_enabled": True,
                "ntp_ip": server_address,
                "X_xivo_phonebook_ip": server_address,
            },
        },
        {
            "id": "default",
            "X_type": "registrar",
            "deletable": False,
            "displayname": "local",
            "parent_ids": [],
            "proxy_main": server_address,
            "registrar_main": server_address,
            "raw_config": {"X_key": ""},
        },
        {
            "id": "defaultconfigdevice",
            "X_type": "device",
            "deletable": False,
            "label": "Default config device",
            "parent_ids": [],
            "raw_config": {
                "ntp_enabled": True,
                "ntp_ip": server_address,
                "sip_dtmf_mode": "RTP-out-of-band",
                "admin_username": "admin",
                "admin_password": _random_text(_PASSWORD_LENGTH),
                "user_username": "user",
                "user_password": _random_text(_PASSWORD_LENGTH),
            },
        },
        {
            "id": "autoprov",
            "X_type": "internal",
            "deletable": False,
            "role": AUTOCREATE_ROLE,
            "parent_ids": ["base", "defaultconfigdevice"],
            "raw_config": {
                "sip_lines": {
                    "1": {
                        "display_name": "Autoprov",
                        "number": "autoprov",
                        "username": f"ap{_random_text(_ACCOUNT_LENGTH)}",
                        "password": _random_text(_ACCOUNT_LENGTH),
                        "proxy_ip": server_address,
                        "registrar_ip": server_address,
                    }
                },
                "sccp_call_managers": {"1": {"ip": server_address}},
            },
        },
    ]


def with_server_address(config: Config, old: str, new: str) -> Config:
    """A config in which this server's new address stands where the old one was; what was edited stays as it is."""

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(item) for key, item in value.items()}
        return new if value == old else value

    return {key: moved(value) if key in _ADDRESS_KEYS else value for key, value in config.items()}


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
