"""The application: everything that can be done, in one object that doors and commands use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from provd.atomicfile import sync_filesystem
from provd.errors import StoreError
from provd.model.config import check_config
from provd.plugins.fingerprint import fingerprint
from provd.plugins.host import PluginHost
from provd.provisioning.autoprov import AutoprovConfigs
from provd.provisioning.configs import ConfigVerbs
from provd.provisioning.configure import Configurer
from provd.provisioning.devices import DeviceVerbs
from provd.provisioning.fileservice import FileService
from provd.provisioning.locks import KeyedLocks, of_device
from provd.provisioning.phones import Collaborators, PhoneDesk
from provd.provisioning.recheck import Recheck
from provd.provisioning.standard_configs import STANDARD_IDS, standard_configs, with_server_address
from provd.security.log import SecurityLog
from provd.store.schema import CONFIGS, DEVICES, PARAMETERS, RENDERINGS, UNFINISHED
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_BASE_RAW_CONFIG = "base_raw_config"
_FINGERPRINTS = "fingerprints"
"""What `fingerprint` said of each plugin."""
_RECHECK = "recheck"
"""Is there while not all devices' files have been checked."""


class Application:
    """Devices, configs and phones, over a store and the installed plugins.

    `base_raw_config` lies under every config: the addresses and ports that phones are told to use.
    """

    def __init__(
        self, store: Store, host: PluginHost, security_log: SecurityLog, base_raw_config: Mapping[str, Any]
    ) -> None:
        self._locks = locks = KeyedLocks()
        self.store = store
        self.host = host
        self._devices, self._parameters = store.collection(DEVICES), store.collection(PARAMETERS)
        self.recheck = Recheck(self._check_files, self._forget_recheck)
        self.configurer = Configurer(store, host, base_raw_config, locks, self.recheck.add)
        self.devices = DeviceVerbs(store, self.configurer, self.recheck, locks)
        self.configs = ConfigVerbs(store, self.recheck)
        self.phones = PhoneDesk(
            Collaborators(
                store=store,
                host=host,
                configurer=self.configurer,
                autoprov=AutoprovConfigs(store.collection(CONFIGS)),
                files=FileService(host, store.collection(RENDERINGS), security_log),
                recheck=self.recheck,
                locks=locks,
                security_log=security_log,
            )
        )
        self._base = dict(base_raw_config)

    def begin(self) -> None:
        """Bring an empty store to life, and find out which devices' files may not be what the store says.

        Raises:
            StoreError: the store is empty and cannot be written.
        """
        if not len(self.store.collection(CONFIGS)) and not len(self._devices):
            self._create_standard_configs()
        if not self.store.was_clean:
            self.host.remove_leftovers()
        self.configurer.remove_orphans()
        self._begin_recheck()
        self.check_plugins()
        self.recheck.add(self._devices.find("state", UNFINISHED))
        self._warn_of_missing_plugins()

    def check_plugins(self) -> None:
        """Have the files of those devices made anew whose plugin, or a template of it, changed since the last look."""
        known = (self._parameters.get(_FINGERPRINTS) or {}).get("plugins", {})
        current = {plugin.id: fingerprint(plugin.folder) for plugin in self.host.installed.values()}
        if current != known:
            self._try_to_commit(Transaction().put(PARAMETERS, _FINGERPRINTS, {"plugins": current}))
        for plugin_id in (each for each in current if current[each] != known.get(each)):
            devices = self._devices.find("plugin", plugin_id)
            if devices:
                log.info("plugin or templates changed: plugin=%s devices=%d", plugin_id, len(devices))
                self.recheck.add(devices)

    def end(self) -> None:
        """Stop background work, and see to it that files and store can be trusted at the next start.

        The store stays open; whoever opened it closes it.
        """
        self.recheck.stop()
        doubt = f"{len(self.recheck)} were not checked before the last stop" if len(self.recheck) else None
        try:
            sync_filesystem(self.host.folder)
        except OSError as error:
            log.error("files may not be on the disk: error=%s", error)
            doubt = "the disk did not take them at the last stop"
        if doubt is None:
            self._forget_recheck()
        else:
            log.info("files are checked at the next start: reason=%r", doubt)
            self._try_to_commit(Transaction().put(PARAMETERS, _RECHECK, {"reason": doubt}))

    def _create_standard_configs(self) -> None:
        transaction = Transaction()
        for config in standard_configs(str(self._base["ip"])):
            transaction.put(CONFIGS, config["id"], check_config(config), 0)
        self.store.commit(transaction)
        log.info("standard configs created: server_address=%s", self._base["ip"])

    def _begin_recheck(self) -> None:
        """Put all devices into the queue if their files cannot be trusted.

        That they have to be checked is noted in the store until it is done, because this process may end before.
        """
        known, current = self._parameters.get(_BASE_RAW_CONFIG), {"value": self._base}
        reason = (self._parameters.get(_RECHECK) or {}).get("reason")
        transaction = Transaction()
        if known is not None and known != current:
            reason = "other addresses or ports"
            self._follow_address(transaction, known["value"])
        if not self.store.was_clean:
            reason = "the last stop was not clean"
        if reason is not None:
            log.info("all devices' files are checked: reason=%r", reason)
            transaction.put(PARAMETERS, _RECHECK, {"reason": reason})
        if known != current:
            transaction.put(PARAMETERS, _BASE_RAW_CONFIG, current)
        self._try_to_commit(transaction)
        if reason is not None:
            self.recheck.add(self._devices.ids())
            if not len(self.recheck):
                self._forget_recheck()

    def _follow_address(self, transaction: Transaction, before: Mapping[str, Any]) -> None:
        """Put this server's new address into the standard configs, where the old one still stands."""
        old, new = str(before.get("ip")), str(self._base["ip"])
        configs = self.store.collection(CONFIGS)
        for config_id in STANDARD_IDS if old != new else ():
            stored = configs.get_stored(config_id)
            config = with_server_address(stored.document, old, new) if stored else None
            if stored and config and config != stored.document:
                log.info("config follows the server's address: config=%s ip=%s before=%s", config_id, new, old)
                transaction.put(CONFIGS, config_id, config, stored.revision)

    def _warn_of_missing_plugins(self) -> None:
        if not self.host.installed:
            log.warning("no plugin is installed: no phone gets anything; see --install-plugin")
        for plugin_id in self._devices.keys("plugin"):
            if plugin_id not in self.host.installed:
                count = self._devices.count("plugin", plugin_id)
                log.error("plugin is not installed: plugin=%s devices=%d", plugin_id, count)

    def _check_files(self, device_id: str) -> str | None:
        with self._locks.hold(of_device(device_id)), self.recheck.turn(device_id) as is_waiting:
            return self.configurer.configure_held(device_id) if is_waiting else None

    def _forget_recheck(self) -> None:
        if _RECHECK in self._parameters:
            self._try_to_commit(Transaction().delete(PARAMETERS, _RECHECK))

    def _try_to_commit(self, transaction: Transaction) -> None:
        """Commit what must not keep the server from serving phones."""
        try:
            self.store.commit(transaction)
        except StoreError as error:
            log.error("the store cannot be written: error=%s", error)
