"""`xivo-provd --check`: would the server start with these settings, and would phones get their files."""

from __future__ import annotations

import os
import pwd
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from provd.base_config import base_raw_config
from provd.check_places import place_mistakes
from provd.check_plugins import look_at_plugins
from provd.check_store import StoreContent, look_at_store
from provd.errors import ProvdError, SettingsError
from provd.settings import DEFAULT_FILE, Settings, plugins_folder, store_path
from provd.store.collection import Document

_LISTED = 10
"""How many devices are named; of the others only the number is told."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What a check found, in sentences of one line each."""

    mistakes: Sequence[str]
    """Settings with which the server does not start."""
    damage: Sequence[str]
    """What is broken in the store or in a plugin."""
    warnings: Sequence[str]
    """Why phones may not get what they should, although everything works."""
    looked_at: Sequence[str]
    """What was read."""

    @property
    def exit_code(self) -> int:
        """What the command ends with; warnings do not count."""
        if self.mistakes:
            return SettingsError.exit_code
        return ProvdError.exit_code if self.damage else 0


def check(settings: Settings) -> Findings:
    """Look at all that the server needs. Nothing is changed, and a server that runs is not disturbed."""
    mistakes = place_mistakes(settings)
    try:
        base_raw_config(settings, settings["http.port"], settings["tftp.port"])
    except SettingsError as error:
        mistakes.append(str(error))
    store = look_at_store(store_path(settings))
    plugins, plugin_damage = look_at_plugins(plugins_folder(settings))
    return Findings(
        mistakes=mistakes,
        damage=store.damage + plugin_damage,
        warnings=list(_warnings(store.devices, plugins)),
        looked_at=_looked_at(settings, store, plugins),
    )


def become_owner(folder: Path) -> None:
    """If this is root's process, go on as the user to whom the folder belongs, as whom the server runs.

    Root may write anywhere, so it would find nothing; and it must not run the code of plugins that another user may
    have changed.

    Raises:
        ProvdError: the system does not allow it.
    """
    try:
        status = folder.stat()
    except OSError:
        return  # no state, and so no plugins
    if os.geteuid() != 0 or status.st_uid == 0:
        return
    try:
        account = pwd.getpwuid(status.st_uid)
        group, groups = account.pw_gid, os.getgrouplist(account.pw_name, account.pw_gid)
    except KeyError:  # a user without a name, as in containers
        group, groups = status.st_gid, []
    try:
        os.setgroups(groups)
        os.setgid(group)
        os.setuid(status.st_uid)
    except OSError as error:
        raise ProvdError(f"{folder}: cannot look as the user to whom this belongs: {error.strerror}") from error


def _warnings(devices: Sequence[Document], plugins: Collection[str]) -> Iterator[str]:
    if not plugins:
        yield "no plugin is installed, so no phone gets files; see --install-plugin"
    absent = Counter(device["plugin"] for device in devices if device.get("plugin") and device["plugin"] not in plugins)
    for plugin, count in sorted(absent.items()):
        yield f"the plugin {plugin!r} of {_number(count, 'device')} is not installed"
    unconfigured = [each for each in devices if each.get("configured") is not True and each.get("plugin") not in absent]
    for device in unconfigured[:_LISTED]:
        yield f"device {device['id']!r} is not configured: {_why_not_configured(device)}"
    if len(unconfigured) > _LISTED:
        yield f"{_number(len(unconfigured) - _LISTED, 'more device')} not configured"


def _why_not_configured(device: Document) -> str:
    for key in ("plugin", "config"):
        if not device.get(key):
            return f"it has no {key}"
    reason = str(device.get("configure_error") or "not done yet")
    return reason if reason.isprintable() else ascii(reason)


def _looked_at(settings: Settings, store: StoreContent, plugins: Sequence[str]) -> list[str]:
    files = ", ".join(map(str, settings.files)) or f"the defaults, because there is no {DEFAULT_FILE}"
    content = f"{_number(len(store.devices), 'device')}, {_number(store.configs, 'config')}"
    return [
        f"user: {_user_name()}",
        f"settings: {files}",
        f"store: {store_path(settings)}: {content if store.is_begun else 'none yet'}",
        f"plugins: {', '.join(plugins) or 'none'}",
    ]


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _number(count: int, of_what: str) -> str:
    return f"{count} {of_what}" if count == 1 else f"{count} {of_what}s"
