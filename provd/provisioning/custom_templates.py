"""What the tools for custom templates need of devices and configs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import gevent

from provd.errors import NotFoundError, PluginError
from provd.identify.retrieve import preferred_device
from provd.model.raw_config import prepare_raw_config
from provd.plugins.custom_templates.checking import check_custom_templates
from provd.plugins.custom_templates.findings import Finding
from provd.plugins.custom_templates.listing import CustomTemplate, list_custom_templates
from provd.plugins.custom_templates.migrate import Migrated, migrate
from provd.plugins.custom_templates.originals import accept_originals
from provd.plugins.custom_templates.preview import FilePreview, preview_device
from provd.plugins.custom_templates.upgrades import ChangedOriginal, changed_originals
from provd.plugins.host import PluginHost
from provd.plugins.loader import LoadedPlugin
from provd.provisioning.configure import Configurer
from provd.store.schema import CONFIGS, DEVICES, RENDERINGS
from provd.store.store import Store

_CONFIGS_AT_ONCE = 500


class CustomTemplateVerbs:
    """Lists, checks, previews and copies custom templates. None of it changes what phones are served.

    Each raises NotFoundError for a plugin or device that is not there, and PluginError for a plugin that does not load.
    """

    def __init__(self, store: Store, host: PluginHost, configurer: Configurer) -> None:
        self._devices, self._configs = store.collection(DEVICES), store.collection(CONFIGS)
        self._renderings = store.collection(RENDERINGS)
        self._host = host
        self._configurer = configurer

    def of_plugin(self, plugin_id: str) -> list[CustomTemplate]:
        """What is customised in a plugin."""
        return list_custom_templates(self._plugin(plugin_id), self._model_of)

    def check(self, plugin_id: str, texts: Mapping[str, str] | None = None) -> list[Finding]:
        """What is wrong with a plugin's custom templates, or would be with `texts` among them."""
        plugin = self._plugin(plugin_id)
        return check_custom_templates(plugin, texts=texts, known_names=self._own_keys(), model_of=self._model_of)

    def changed_originals(self, plugin_id: str) -> list[ChangedOriginal]:
        """Which shipped templates are not what custom ones were made from."""
        plugin = self._plugin(plugin_id)
        return changed_originals(plugin.folder, plugin.info)

    def accept_originals(self, plugin_id: str, names: Iterable[str]) -> None:
        """Note that somebody has looked at these custom templates since the shipped ones changed."""
        plugin = self._plugin(plugin_id)
        accept_originals(plugin.folder, plugin.info, names)

    def migrate(self, from_id: str, to_id: str, *, dry_run: bool = False) -> list[Migrated]:
        """Copy the custom templates of one plugin to another."""
        return migrate(self._plugin(from_id).folder, self._plugin(to_id).folder, dry_run=dry_run)

    def preview(
        self, device_id: str, texts: Mapping[str, str] | None = None, *, show_secrets: bool = False
    ) -> list[FilePreview]:
        """A device's files as they would be, beside what it is served.

        Raises:
            PluginError: the device cannot be configured; the reason is the one that it would keep.
        """
        device = self._devices.get(device_id)
        if device is None:
            raise NotFoundError(f"there is no device {device_id!r}")
        plugin_id, config_id, mac = device.get("plugin"), device.get("config"), device.get("mac")
        if mac and preferred_device(self._devices.find("mac", mac)) != device_id:
            raise PluginError("another device has the same mac, and comes first")
        if not plugin_id or not config_id:
            raise PluginError("the device has no plugin or no config")
        raw_config = self._configurer.flattened(config_id, device)
        if raw_config is None:
            raise PluginError(f"the config {config_id!r} does not exist")
        record = (self._renderings.get(device_id) or {}).get("files", ())
        return preview_device(
            self._plugin(plugin_id),
            device,
            prepare_raw_config(raw_config),
            texts=texts,
            served=[entry["path"] for entry in record if entry["plugin"] == plugin_id],
            show_secrets=show_secrets,
        )

    def _plugin(self, plugin_id: str) -> LoadedPlugin:
        plugin = self._host.get(plugin_id)
        if plugin is not None:
            return plugin
        installed = self._host.installed.get(plugin_id)
        if installed is None:
            raise NotFoundError(f"the plugin {plugin_id} is not installed")
        raise PluginError(f"the plugin {plugin_id} does not load: {installed.error}")

    def _model_of(self, mac: str) -> str | None:
        devices = self._devices.find("mac", mac)
        device = self._devices.get(preferred_device(devices)) if devices else None
        return device.get("model") if device is not None else None

    def _own_keys(self) -> set[str]:
        """The keys of all raw configs, also those that are the administrator's own."""
        keys: set[str] = set()
        for number, config_id in enumerate(self._configs.ids()):
            if number % _CONFIGS_AT_ONCE == 0:
                gevent.sleep(0)
            keys.update((self._configs.get(config_id) or {}).get("raw_config", ()))
        return keys
