"""Who can work behind NAT, where an address does not tell phones apart.

A phone can if each of its requests says which phone it is. Whether it does is known of its model; the plugins state it
(`behind_nat` in models.toml).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import gevent

from provd.plugins.host import PluginHost
from provd.store.collection import Collection

log = logging.getLogger(__name__)

ALL, SOME, NONE = "all", "some", "none"
_DEVICES_AT_ONCE = 100


def nat_support(host: PluginHost) -> dict[str, str]:
    """Of each plugin that runs, whether `all`, `some` or `none` of its models can work behind NAT."""
    support = {}
    for plugin_id in host.installed:
        plugin = host.get(plugin_id)
        if plugin is not None:
            able = [model.behind_nat for model in plugin.info.models.values()]
            support[plugin_id] = NONE if not any(able) else ALL if all(able) else SOME
    return support


def nat_objection(device: Mapping[str, Any], host: PluginHost) -> str | None:
    """Why a device cannot be relied on behind NAT, or None. A device without a plugin gets nothing anyway."""
    plugin = host.get(device.get("plugin") or "")
    if plugin is None:
        return None
    model = plugin.info.models.get(device.get("model") or "")
    if model is None:
        if nat_support(host)[plugin.id] == ALL:
            return None
        return "its model is not known, and not all that its plugin supports can work behind NAT"
    if model.behind_nat:
        return None
    return f"the {model.name} does not say in each request which phone it is, so some of them get no answer behind NAT"


def warn_of_devices(devices: Collection, host: PluginHost) -> None:
    """Log how many devices cannot be relied on behind NAT, a line for each reason; phones are served in between."""
    found: Counter[str] = Counter()
    for number, device in enumerate(devices.documents()):
        objection = nat_objection(device, host)
        if objection is not None:
            found[objection] += 1
        if number % _DEVICES_AT_ONCE == 0:
            gevent.sleep(0)
    for objection, count in found.most_common():
        log.warning("devices that cannot be relied on behind NAT: devices=%d reason=%r", count, objection)
