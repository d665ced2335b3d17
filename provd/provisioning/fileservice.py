"""Finding the file that a phone may have, and noting who asked for secrets."""

from __future__ import annotations

from provd.model.device import Device
from provd.model.request import PhoneRequest
from provd.plugins.files import OpenFile, Problem, clean_path, open_file
from provd.plugins.host import PluginHost
from provd.security.grammar import Owner
from provd.security.log import SecurityLog
from provd.store.collection import Collection


class FileService:
    """Opens files for phones: those of the plugin that the device has, wherever the phone looks for its own.

    A file that may hold secrets is noted in the security log whenever it is asked for, and one that belongs to
    another device is not found.
    """

    def __init__(self, host: PluginHost, renderings: Collection, security_log: SecurityLog) -> None:
        self._host = host
        self._renderings = renderings
        self._security_log = security_log

    def serve(self, request: PhoneRequest, device: Device) -> OpenFile | Problem:
        """The file that a device asks for, or why it gets none."""
        plugin_id = device.get("plugin") or ""
        root = self._host.root_of(plugin_id)
        path = clean_path(request.path)
        if isinstance(path, Problem):
            return path
        if root is None:
            return self.serve_nobody(request, device["id"])
        reply = open_file(root, path) if path else Problem.DIRECTORY
        if reply is Problem.NOT_FOUND:
            plugin_id, path, reply = self._elsewhere(device, plugin_id, path)
        if self._host.is_sensitive(plugin_id, path):
            owner = self._owner(plugin_id, path, device["id"])
            self._security_log.sensitive_file_requested(request.address, path, owner, device["id"])
            if owner is Owner.OTHER and isinstance(reply, OpenFile):
                reply.close()
                return Problem.NOT_FOUND
        return reply

    def serve_nobody(self, request: PhoneRequest, device_id: str | None = None) -> Problem:
        """The answer to a request that no plugin serves."""
        path = clean_path(request.path)
        if isinstance(path, Problem):
            return path
        if self._host.is_sensitive_for_any(path):
            belongs = any(self._renderings.find("file", f"{plugin_id}/{path}") for plugin_id in self._host.installed)
            owner = Owner.OTHER if belongs else Owner.NONE
            self._security_log.sensitive_file_requested(request.address, path, owner, device_id)
        return Problem.NO_PLUGIN

    def _elsewhere(self, device: Device, plugin_id: str, path: str) -> tuple[str, str, OpenFile | Problem]:
        """Look where the device's own files are: phones are told all kinds of folders, or none.

        First for its own file of that name, in any case; then for a file that it shares with others, beside its own.
        """
        record = self._renderings.get(device["id"])
        if record is None:
            return plugin_id, path, Problem.NOT_FOUND
        name = path.rpartition("/")[2]
        own_root = self._host.root_of(record["plugin"])
        for file in record["files"] if own_root else ():
            if file["path"].rpartition("/")[2].casefold() == name.casefold():
                return record["plugin"], file["path"], open_file(own_root or "", file["path"])
        root = self._host.root_of(plugin_id) or ""
        for folder in {file["path"].rpartition("/")[0] for file in record["files"]}:
            beside = f"{folder}/{name}" if folder else name
            reply = open_file(root, beside)
            if isinstance(reply, OpenFile):
                return plugin_id, beside, reply
        return plugin_id, path, Problem.NOT_FOUND

    def _owner(self, plugin_id: str, path: str, device_id: str) -> Owner:
        owners = self._renderings.find("file", f"{plugin_id}/{path}")
        if not owners:
            return Owner.NONE
        return Owner.KNOWN if device_id in owners else Owner.OTHER
