"""URLs of the PBX's directory and of its users' services, as phones ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from provd.model.address import url_host

_DEFAULT_PORT = 9498


def phonebook_url(
    raw_config: Mapping[str, Any], vendor: str, entry_point: str = "input", query_suffix: str = ""
) -> str | None:
    """The URL of the directory for phones of `vendor`, or None if the raw config names no directory or no user.

    `query_suffix` is added to the query as it is.
    """
    host, user = raw_config.get("X_xivo_phonebook_ip"), raw_config.get("X_xivo_user_uuid")
    if not host or not user:
        return None
    query = urlencode({"xivo_user_uuid": user})
    return f"{_base(raw_config, host)}/directories/{entry_point}/default/{vendor}?{query}{query_suffix}"


def user_service_url(raw_config: Mapping[str, Any], vendor: str, service: str, *, enable: bool) -> str | None:
    """The URL that turns a service of the phone's user (such as `dnd`) on or off, or None as above."""
    host, user = raw_config.get("X_xivo_phonebook_ip"), raw_config.get("X_xivo_user_uuid")
    if not host or not user:
        return None
    action = "enable" if enable else "disable"
    return f"{_base(raw_config, host)}/{vendor}/users/{quote(str(user), safe='')}/services/{service}/{action}"


def _base(raw_config: Mapping[str, Any], host: str) -> str:
    scheme = raw_config.get("X_xivo_phonebook_scheme", "http")
    port = raw_config.get("X_xivo_phonebook_port", _DEFAULT_PORT)
    return f"{scheme}://{url_host(host)}:{port}/0.1"
