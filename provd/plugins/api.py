"""All that a plugin may import.

A plugin declares, the host does: a plugin says what it recognises and which files a phone needs, and the host
finds the templates, renders, compares, writes, serves and removes. A plugin never opens, writes or removes a file,
never waits and never sees a socket. It must keep no state between calls that changes an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provd.errors import PluginError
from provd.model.address import url_host
from provd.model.identity import Identity, Support
from provd.model.mac import InvalidMacError, format_mac, normalize_mac
from provd.model.request import DhcpLease, HttpRequest, TftpRequest
from provd.plugins.info import PluginInfo
from provd.plugins.models import KeyBlock, KeyPosition, Model
from provd.plugins.phonebook import phonebook_url, user_service_url
from provd.plugins.timezones import DstChange, TimezoneRule, timezone_rule

__all__ = [
    "DhcpLease",
    "DstChange",
    "File",
    "HttpRequest",
    "Identity",
    "InvalidMacError",
    "KeyBlock",
    "KeyPosition",
    "Model",
    "Notification",
    "Plugin",
    "PluginError",
    "PluginInfo",
    "Support",
    "TftpRequest",
    "TimezoneRule",
    "format_mac",
    "normalize_mac",
    "phonebook_url",
    "timezone_rule",
    "url_host",
    "user_service_url",
]


@dataclass(frozen=True, slots=True)
class File:
    """A file that phones may fetch, as a plugin declares it.

    Args:
        path: below the plugin's `var/tftpboot`, with `/` between folders.
        context: values for the template beside the raw config's, with names that begin with `XX_`.
        content: the whole text; None means that a template is rendered.
        encoding: of the rendered file.
        sensitive: the file holds secrets.
        proves_sync: when the phone has fetched this file it has the configuration that was last made for it.
    """

    path: str
    context: Mapping[str, Any] = field(default_factory=dict)
    content: str | None = None
    encoding: str = "utf-8"
    sensitive: bool = False
    proves_sync: bool = False


@dataclass(frozen=True, slots=True)
class Notification:
    """What to send to a phone so that it reads its files again: a SIP NOTIFY with this `event` (RFC 6665)."""

    event: str
    body: str | None = None
    content_type: str | None = None


class Plugin:
    """The base of every plugin; `entry.py` defines one subclass with `IS_PLUGIN = True`.

    `raw_config` is the flattened raw config, checked and with its defaults; it is the plugin's own copy. `device`
    is the device document, also a copy.
    """

    IS_PLUGIN = False

    escape_xml = False
    """The family's files are XML: values are escaped in templates unless marked safe."""

    filters: Mapping[str, Callable[..., Any]] = {}
    """Jinja2 filters for the plugin's templates, by name."""

    def __init__(self, info: PluginInfo) -> None:
        self.info = info
        self.models = info.models

    def identify_http(self, request: HttpRequest) -> Identity | None:
        """What an HTTP request says about a phone of this family; None if it is of none."""
        return None

    def identify_tftp(self, request: TftpRequest) -> Identity | None:
        """What a TFTP request says about a phone of this family; None if it is of none."""
        return None

    def identify_dhcp(self, lease: DhcpLease) -> Identity | None:
        """What a DHCP lease says about a phone of this family; None if it is of none."""
        return None

    def support(self, identity: Identity) -> Support:
        """How well this plugin supports a phone; decided from the plugin's models unless overridden."""
        if identity.vendor is None or self.info.vendor is None:
            return Support.UNKNOWN
        if identity.vendor != self.info.vendor:
            return Support.NONE
        model = self.models.get(identity.model or "")
        if model is None:
            return Support.PROBABLE
        is_exact = identity.version is not None and identity.version == model.firmware
        return Support.EXACT if is_exact else Support.COMPLETE

    def common_files(self, raw_config: dict[str, Any]) -> Iterable[File]:
        """The files that all phones of the family share and that depend on the server's addresses."""
        return ()

    def device_files(self, device: dict[str, Any], raw_config: dict[str, Any]) -> Iterable[File]:
        """The files of one device.

        Raises:
            PluginError: the device cannot be configured; the text says why and is kept on the device.
        """
        return ()

    def is_sensitive(self, path: str) -> bool:
        """Tell whether a file of this path may hold secrets, also for phones that are not known yet."""
        return False

    def resync(self, device: dict[str, Any], raw_config: dict[str, Any], *, reboot: bool) -> Notification | None:
        """What to send so that the phone reads its files again; None if the family knows no such message."""
        return None
