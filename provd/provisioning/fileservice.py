"""Finding the file that a phone may have, and noting who asked for secrets."""

from __future__ import annotations

from provd.model.device import Device
from provd.model.mac import format_mac
from provd.model.request import PhoneRequest
from provd.plugins.files import OpenFile, Problem, clean_path, open_file
from provd.plugins.host import PluginHost
from provd.security.grammar import Owner
from provd.security.log import SecurityLog
from provd.store.collection import Collection
from provd.store.schema import file_key, stem


class FileService:
    """Opens files for phones: those of the plugin that the device has, wherever the phone looks for its own.

    A file that may hold secrets is noted in the security log whenever it is asked for. A file that belongs to another
    device is not found, whatever it holds.
    """

    def __init__(self, host: PluginHost, renderings: Collection, security_log: SecurityLog) -> None:
        self._host = host
        self._renderings = renderings
        self._security_log = security_log

    def serve(self, request: PhoneRequest, device: Device) -> OpenFile | Problem:
        """The file that a device asks for, or why it gets none; `MISSING` if it should be on the disk, but is not."""
        path = clean_path(request.path)
        if isinstance(path, Problem):
            return path
        plugin_id = device.get("plugin") or ""
        root = self._host.root_of(plugin_id)
        if root is None:
            return self.serve_nobody(request, device)
        reply = open_file(root, path) if path else Problem.DIRECTORY
        if reply is Problem.NOT_FOUND:
            plugin_id, path, reply = self._elsewhere(device, plugin_id, path)
        elif isinstance(reply, OpenFile):
            path = reply.path
        owner_id = self._owner_id(plugin_id, path, device["id"])
        self._note(request, plugin_id, path, device, owner_id)
        if owner_id not in (None, device["id"]) and isinstance(reply, OpenFile):
            reply.close()
            return Problem.NOT_FOUND
        return reply

    def serve_nobody(self, request: PhoneRequest, device: Device | None = None) -> Problem:
        """The answer to a request that no plugin serves, of a device or of nobody."""
        path = clean_path(request.path)
        if isinstance(path, Problem):
            return path
        if self._host.is_sensitive_for_any(path):
            device_id = device["id"] if device is not None else None
            self._security_log.sensitive_file_requested(request.address, path, self._owner_of(path, device), device_id)
        return Problem.NO_PLUGIN

    def _owner_id(self, plugin_id: str, path: str, device_id: str) -> str | None:
        """The device that has a file: the one that asks, if it is one of several; None if nobody has it."""
        key = file_key(plugin_id, path)
        return device_id if self._renderings.has("file", key, device_id) else self._renderings.first("file", key)

    def _note(self, request: PhoneRequest, plugin_id: str, path: str, device: Device, owner_id: str | None) -> None:
        """Note in the security log who asked for a file that may hold secrets.

        The plugin says that by the name of the file, and has said it of each file that a device has. A plugin that
        cannot say is taken to say yes of files that belong to somebody.
        """
        is_sensitive = self._host.is_sensitive(plugin_id, path, default=owner_id is not None)
        if is_sensitive or (owner_id is not None and self._is_declared_sensitive(owner_id, plugin_id, path)):
            if owner_id is None:
                owner = self._owner_of(path, device)
            else:
                owner = Owner.KNOWN if owner_id == device["id"] else Owner.OTHER
            self._security_log.sensitive_file_requested(request.address, path, owner, device["id"])

    def _owner_of(self, path: str, device: Device | None) -> Owner:
        """Whose a file is that nobody has under this very name: a phone asks for more files of its own than it has.

        Its own are those that begin like one that it has, and those of nobody that its MAC address stands in.
        """
        name = stem(path)
        if device is not None and self._renderings.has("stem", name, device["id"]):
            return Owner.KNOWN
        if self._renderings.count("stem", name):
            return Owner.OTHER
        mac = (device or {}).get("mac")
        return Owner.KNOWN if mac and format_mac(mac, "") in path.rpartition("/")[2].casefold() else Owner.NONE

    def _is_declared_sensitive(self, owner_id: str, plugin_id: str, path: str) -> bool:
        """The plugin said that the file is sensitive when that was made; all that have it were told the same."""
        return any(
            file["sensitive"] and (file["plugin"], file["path"]) == (plugin_id, path)
            for file in (self._renderings.get(owner_id) or {"files": []})["files"]
        )

    def _elsewhere(self, device: Device, plugin_id: str, path: str) -> tuple[str, str, OpenFile | Problem]:
        """Look where the device's own files are: phones are told all kinds of folders, or none.

        First for its own file of that name, in any case; then for a file that it shares with others, beside its own.
        """
        name = path.rpartition("/")[2]
        own_files = (self._renderings.get(device["id"]) or {"files": []})["files"]
        for file in own_files:
            own_root = self._host.root_of(file["plugin"])
            if own_root is not None and file["path"].rpartition("/")[2].casefold() == name.casefold():
                reply = open_file(own_root, file["path"])
                return file["plugin"], file["path"], Problem.MISSING if reply is Problem.NOT_FOUND else reply
        root = self._host.root_of(plugin_id) or ""
        for folder in dict.fromkeys(file["path"].rpartition("/")[0] for file in own_files):
            beside = f"{folder}/{name}" if folder else name
            reply = open_file(root, beside)
            if isinstance(reply, OpenFile):
                return plugin_id, reply.path, reply
        return plugin_id, path, Problem.NOT_FOUND
