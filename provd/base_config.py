"""The base raw config: what lies under every config, above all where phones find this server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provd import netinfo
from provd.errors import InvalidValueError, SettingsError
from provd.model.address import is_unspecified
from provd.model.document import check_document
from provd.model.raw_config import check_raw_config
from provd.settings import Settings


def base_raw_config(settings: Settings, http_port: int, tftp_port: int) -> dict[str, Any]:
    """The values that lie under every config: the administrator's file, then this server's address and the given ports.

    Raises:
        SettingsError: the file cannot be read or holds a value that is not allowed.
    """
    raw = _base_raw_config_file(settings["general.base_raw_config_file"])
    raw.setdefault("ip", _configured_address(settings) or netinfo.server_address())
    raw.setdefault("http_port", http_port)
    raw.setdefault("tftp_port", tftp_port)
    return raw


def is_address_per_phone(settings: Settings) -> bool:
    """Tell whether each phone is told the address that faces it, because no address is configured for all of them.

    Raises:
        SettingsError: see `base_raw_config`.
    """
    return not _configured_address(settings) and "ip" not in _base_raw_config_file(
        settings["general.base_raw_config_file"]
    )


def _configured_address(settings: Settings) -> str:
    return str(settings["general.external_ip"] or _bound_address(settings))


def _bound_address(settings: Settings) -> str:
    """The address that the doors are bound to; empty if they are bound to all, in whatever way that is said."""
    address = str(settings["general.bind"])
    return "" if is_unspecified(address) else address


def _base_raw_config_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    where = f"general.base_raw_config_file: {path}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(data, Mapping):
            raise SettingsError(f"{where}: an object is needed")
        check_document("", data)
        return check_raw_config(data)
    except OSError as error:
        raise SettingsError(f"{where}: {error.strerror}") from error
    except (ValueError, RecursionError, InvalidValueError) as error:
        raise SettingsError(f"{where}: {error}") from error
