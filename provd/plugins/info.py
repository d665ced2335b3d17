"""`plugin-info`: what a plugin says of itself, in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provd.errors import PluginLoadError
from provd.plugins.models import Model, parse_models

INTERFACE_VERSION = 1.0
"""The version of the contract in `provd.plugins.api`; `plugin_iface_version_min` and `_max` are compared with it.

The existing provd's versions are 0.1 and 0.2; its plugins follow another contract and cannot be loaded.
"""

_PLUGIN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class PluginInfo:
    """A plugin's metadata. `vendor` is what its phones are stored with; `raw` is the whole document."""

    id: str
    version: str
    description: str
    capabilities: Mapping[str, Any]
    vendor: str | None
    models: Mapping[str, Model]
    raw: Mapping[str, Any]


def is_plugin_id(text: str) -> bool:
    """Tell whether `text` can be a plugin id, and so the name of a folder."""
    return _PLUGIN_ID.fullmatch(text) is not None


def version_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key for plugin ids and versions in which 3.10 comes after 3.9."""
    return tuple(
        (1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.findall(r"[0-9]+|[^0-9]+", text)
    )


def read_plugin_info(folder: Path) -> PluginInfo:
    """Read `plugin-info` of the plugin in `folder`, whose name is the plugin's id.

    Raises:
        PluginLoadError: it is missing or wrong, or the plugin is made for another interface version.
    """
    path = folder / "plugin-info"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PluginLoadError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise PluginLoadError(f"{path}: not JSON: {error}") from error
    return parse_plugin_info(folder.name, data)


def parse_plugin_info(plugin_id: str, data: object) -> PluginInfo:
    """Check the content of a `plugin-info` file.

    Raises:
        PluginLoadError: something is missing or wrong, or the interface version does not fit.
    """
    if not isinstance(data, Mapping):
        raise PluginLoadError("plugin-info: an object is needed")
    for key, kind in (("version", str), ("description", str), ("capabilities", Mapping)):
        if not isinstance(data.get(key), kind):
            raise PluginLoadError(f"plugin-info: {key}: missing or of the wrong type")
    _check_interface(data)
    return PluginInfo(
        id=plugin_id,
        version=data["version"],
        description=data["description"],
        capabilities=data["capabilities"],
        vendor=data.get("vendor"),
        models=parse_models(data.get("models", {})),
        raw=data,
    )


def _check_interface(data: Mapping[str, Any]) -> None:
    low, high = data.get("plugin_iface_version_min", 0), data.get("plugin_iface_version_max", INTERFACE_VERSION)
    for key, value in (("plugin_iface_version_min", low), ("plugin_iface_version_max", high)):
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise PluginLoadError(f"plugin-info: {key}: {value!r} is not a number")
    if not low <= INTERFACE_VERSION <= high:
        raise PluginLoadError(
            f"the plugin is made for interface versions {low} to {high}, this server has {INTERFACE_VERSION}"
        )
