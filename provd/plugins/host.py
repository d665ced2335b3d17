"""The installed plugins: asking them, and seeing to it that one that fails harms only its own phones."""

from __future__ import annotations

import copy
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from provd.atomicfile import TEMPORARY_PREFIX
from provd.errors import PluginError, PluginLoadError, ProvdError
from provd.model.identity import Identity, Support
from provd.model.raw_config import prepare_raw_config
from provd.model.request import DhcpLease, HttpRequest, PhoneRequest
from provd.occasionally import Occasionally
from provd.plugins.custom_templates.originals import note_originals
from provd.plugins.info import version_key
from provd.plugins.loader import LoadedPlugin, load_plugin
from provd.plugins.publish import publish
from provd.plugins.rendering import RenderedFile, render_common_files, render_device_files

log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InstalledPlugin:
    """A plugin's folder, the real path of the files it serves, and the plugin itself or why it does not load."""

    id: str
    folder: Path
    root: str
    loaded: LoadedPlugin | None
    error: str | None


class PluginHost:
    """All plugins below a folder. Every call into a plugin's code goes through here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._installed: dict[str, InstalledPlugin] = {}
        self._loaded: list[LoadedPlugin] = []
        self._held: set[str] = set()
        self.failures: Counter[str] = Counter()
        """How often a call into a plugin's code failed, by plugin id."""
        self._complaints: dict[str, Occasionally] = {}

    @property
    def folder(self) -> Path:
        """Where plugins are installed, one folder each."""
        return self._folder

    @property
    def installed(self) -> Mapping[str, InstalledPlugin]:
        """All installed plugins by id, also those that do not load."""
        return self._installed

    def load_all(self, raw_config: Mapping[str, Any]) -> None:
        """Load every plugin's folder; one that does not load is kept with its reason and disturbs nobody.

        `raw_config` is the base raw config, for the files that a plugin's phones share.
        """
        for folder in sorted(self._folder.iterdir()):
            if folder.is_dir() and not folder.name.startswith("."):
                self.load(folder, raw_config)

    def load(self, folder: Path, raw_config: Mapping[str, Any]) -> InstalledPlugin:
        """Load one plugin's folder and make its common files."""
        root = folder / "var" / "tftpboot"
        loaded, error = None, None
        try:
            loaded = load_plugin(folder)
            root.mkdir(parents=True, exist_ok=True)
            note_originals(folder, loaded.info)
            self._make_common_files(loaded, raw_config)
        except (ProvdError, OSError) as failure:
            error = str(failure)
            log.error("plugin does not load: plugin=%s reason=%s", folder.name, error)
            loaded = None if isinstance(failure, PluginLoadError | OSError) else loaded
        plugin = InstalledPlugin(folder.name, folder, os.path.realpath(root), loaded, error)
        self._installed[plugin.id] = plugin
        self._order()
        return plugin

    def reload(self, plugin_id: str, raw_config: Mapping[str, Any]) -> str | None:
        """Load a plugin's folder anew, after it was changed; returns why that fails, or None.

        If the code does not load, that which ran before goes on.
        """
        before = self._installed.get(plugin_id)
        after = self.load(self._folder / plugin_id, raw_config)
        if after.loaded is None and before is not None and before.loaded is not None:
            self._installed[plugin_id] = replace(after, loaded=before.loaded)
            self._order()
        return after.error

    def unload(self, plugin_id: str) -> None:
        """Forget a plugin, whose folder is gone, or is about to go."""
        self._installed.pop(plugin_id, None)
        self._complaints.pop(plugin_id, None)
        del self.failures[plugin_id]
        self._order()

    @contextmanager
    def held(self, plugin_id: str) -> Iterator[None]:
        """Meanwhile no files of the plugin's devices are made, because old code must not meet the new folder.

        Phones are served what there is.
        """
        self._held.add(plugin_id)
        try:
            yield
        finally:
            self._held.discard(plugin_id)

    def look_at_templates(self, plugin_id: str) -> None:
        """Note what a plugin's new custom templates are made from, before an upgrade replaces that."""
        plugin = self.get(plugin_id)
        if plugin is not None:
            note_originals(plugin.folder, plugin.info)

    def get(self, plugin_id: str) -> LoadedPlugin | None:
        """A plugin that runs, or None."""
        plugin = self._installed.get(plugin_id)
        return plugin.loaded if plugin else None

    def root_of(self, plugin_id: str) -> str | None:
        """Where a plugin's files are, also if its code does not load; None if it is not installed."""
        plugin = self._installed.get(plugin_id)
        return plugin.root if plugin else None

    def remove_leftovers(self) -> None:
        """Remove the temporary files that a crash left among the files for phones; they may hold secrets.

        What it left of plugins themselves is the business of `provd.plugins.recovery`.
        """
        for plugin in self._installed.values():
            for folder, _, names in os.walk(plugin.root):
                for name in names:
                    if name.startswith(TEMPORARY_PREFIX):
                        Path(folder, name).unlink(missing_ok=True)

    # --- questions to plugins

    def identify(self, request: PhoneRequest | DhcpLease) -> list[tuple[str, Identity]]:
        """What each plugin makes of a request, the newest version of a family first."""
        found = []
        for plugin in self._loaded:
            try:
                if isinstance(request, HttpRequest):
                    identity = plugin.code.identify_http(request)
                elif isinstance(request, DhcpLease):
                    identity = plugin.code.identify_dhcp(request)
                else:
                    identity = plugin.code.identify_tftp(request)
            except (Exception, SystemExit) as error:  # noqa: BLE001  (foreign code: it harms only its own phones)
                self._blame(plugin.id, "identify", error)
                continue
            if isinstance(identity, Identity):
                found.append((plugin.id, identity))
            elif identity is not None:
                self._blame(plugin.id, "identify", TypeError(f"{identity!r} is no Identity"))
        return found

    def support(self, identity: Identity) -> list[tuple[str, int]]:
        """How well each plugin supports a phone, the newest version of a family first."""
        levels = []
        for plugin in self._loaded:
            level = self._ask(plugin.id, "support", lambda code: int(code.support(identity)), int(Support.NONE))
            levels.append((plugin.id, level))
        return levels

    def is_sensitive(self, plugin_id: str, path: str, *, default: bool = False) -> bool:
        """Tell whether a plugin says that files of this path may hold secrets; `default` if it cannot say."""
        return self._ask(plugin_id, "is_sensitive", lambda code: bool(code.is_sensitive(path)), default)

    def is_sensitive_for_any(self, path: str) -> bool:
        """Tell whether any plugin says that files of this path may hold secrets."""
        return any(self.is_sensitive(plugin.id, path) for plugin in self._loaded)

    def render_device(
        self, plugin_id: str, device: dict[str, Any], raw_config: dict[str, Any]
    ) -> list[RenderedFile]:
        """The files of one device; `device` and `raw_config` are given away.

        Raises:
            PluginError: the plugin cannot configure the device, or its code or a template fails.
        """
        plugin = self.get(plugin_id)
        if plugin is None:
            raise PluginError(self._why_absent(plugin_id))
        if plugin_id in self._held:
            raise PluginError(f"the plugin {plugin_id} is being upgraded")
        model = device.get("model")
        try:
            files = list(plugin.code.device_files(device, raw_config))
            return render_device_files(files, plugin.templates, model, raw_config)
        except PluginError:
            raise
        except (Exception, SystemExit) as error:
            self._blame(plugin_id, "device_files", error)
            raise PluginError(f"the plugin's code fails: {type(error).__name__}: {error}") from error

    def _make_common_files(self, plugin: LoadedPlugin, raw_config: Mapping[str, Any]) -> None:
        """Write the files that a plugin's phones share.

        Raises:
            ProvdError: they cannot be made; the plugin runs without them.
        """
        try:
            prepared = prepare_raw_config(copy.deepcopy(dict(raw_config)))
            files = list(plugin.code.common_files(prepared))
            publish(plugin.folder / "var" / "tftpboot", render_common_files(files, plugin.templates, prepared))
        except ProvdError:
            raise
        except (Exception, SystemExit) as error:
            self._blame(plugin.id, "common_files", error)
            raise PluginError(f"common_files fails: {type(error).__name__}: {error}") from error

    def _ask(self, plugin_id: str, what: str, question: Callable[[Any], T], default: T) -> T:
        plugin = self.get(plugin_id)
        if plugin is None:
            return default
        try:
            return question(plugin.code)
        except (Exception, SystemExit) as error:  # noqa: BLE001  (foreign code: it harms only its own phones)
            self._blame(plugin_id, what, error)
            return default

    def _blame(self, plugin_id: str, what: str, error: BaseException) -> None:
        self.failures[plugin_id] += 1
        complaint = self._complaints.setdefault(plugin_id, Occasionally())
        if complaint.due():
            log.error(
                "plugin fails: plugin=%s call=%s error=%s: %s unreported=%d",
                plugin_id, what, type(error).__name__, error, complaint.missed, exc_info=error,
            )  # fmt: skip

    def _why_absent(self, plugin_id: str) -> str:
        plugin = self._installed.get(plugin_id)
        if plugin is None:
            return f"the plugin {plugin_id} is not installed"
        return f"the plugin {plugin_id} does not load: {plugin.error}"

    def _order(self) -> None:
        running = [plugin.loaded for plugin in self._installed.values() if plugin.loaded is not None]
        self._loaded = sorted(running, key=lambda plugin: version_key(plugin.id), reverse=True)
