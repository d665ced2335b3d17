"""The application: everything that can be done, in one object that doors and commands use."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from provd.atomicfile import sync_filesystem
from provd.errors import StoreError
from provd.model.config import check_config
from provd.plugins.host import PluginHost
from provd.provisioning.autoprov import AutoprovConfigs
from provd.provisioning.configs import ConfigVerbs
from provd.provisioning.configure import Configurer
from provd.provisioning.devices import DeviceVerbs
from provd.provisioning.fileservice import FileService
from provd.provisioning.locks import KeyedLocks, of_device
from provd.provisioning.phones import Collaborators, PhoneDesk
from provd.provisioning.recheck import Recheck
from provd.provisioning.standard_configs import standard_configs
from provd.security.log import SecurityLog
from provd.store.schema import CONFIGS, DEVICES, PARAMETERS, RENDERINGS
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_BASE_RAW_CONFIG = "base_raw_config"
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
        self.configurer = Configurer(store, host, base_raw_config, locks, self._configure_again)
        self.devices = DeviceVerbs(store, self.configurer, locks)
        self.configs = ConfigVerbs(store, self.configurer)
        self.recheck = Recheck(self._check_files, self._forget_recheck)
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

    def begin(self, new_plugins: Iterable[str]) -> None:
        """Bring an empty store to life, and find out which devices' files may not be what the store says.

        `new_plugins` are the plugins that were installed since the last start.

        Raises:
            StoreError: the store is empty and cannot be written.
        """
        if not len(self.store.collection(CONFIGS)) and not len(self.store.collection(DEVICES)):
            self._create_standard_configs()
        if not self.store.was_clean:
            self.host.remove_leftovers()
        self.configurer.remove_orphans()
        self._begin_recheck(new_plugins)

    def end(self) -> None:
        """Stop background work, and see to it that files and store can be trusted at the next start.

        The store stays open; whoever opened it closes it.
        """
        self.recheck.stop()
        if len(self.recheck):
            self._try_to_commit(Transaction().put(PARAMETERS, _RECHECK, {"reason": "not finished"}))
        else:
            self._forget_recheck()
        try:
            sync_filesystem(self.host.folder)
        except OSError as error:
            log.error("files may not be on the disk: error=%s", error)

    def _create_standard_configs(self) -> None:
        transaction = Transaction()
        for config in standard_configs(str(self._base["ip"])):
            transaction.put(CONFIGS, config["id"], check_config(config), 0)
        self.store.commit(transaction)
        log.info("standard configs created: server_address=%s", self._base["ip"])

    def _begin_recheck(self, new_plugins: Iterable[str]) -> None:
        """Put the devices whose files cannot be trusted into the queue.

        That all have to be checked is noted in the store until it is done, because this process may end before.
        """
        devices, parameters = self.store.collection(DEVICES), self.store.collection(PARAMETERS)
        known, current = parameters.get(_BASE_RAW_CONFIG), {"value": self._base}
        reason = None
        if not self.store.was_clean or _RECHECK in parameters:
            reason = "the last stop was not clean"
        elif known is not None and known != current:
            reason = "other addresses or ports"
        transaction = Transaction()
        if reason is not None:
            log.info("all devices' files are checked: reason=%r", reason)
            transaction.put(PARAMETERS, _RECHECK, {"reason": reason})
        if known != current:
            transaction.put(PARAMETERS, _BASE_RAW_CONFIG, current)
        self._try_to_commit(transaction)
        if reason is not None:
            self.recheck.add(devices.ids())
            if not len(self.recheck):
                self._forget_recheck()
        for plugin_id in new_plugins:
            self.recheck.add(devices.find("plugin", plugin_id))

    def _check_files(self, device_id: str) -> str | None:
        with self._locks.hold(of_device(device_id)), self.recheck.turn(device_id) as is_waiting:
            return self.configurer.configure_held(device_id) if is_waiting else None

    def _forget_recheck(self) -> None:
        if _RECHECK in self.store.collection(PARAMETERS):
            self._try_to_commit(Transaction().delete(PARAMETERS, _RECHECK))

    def _configure_again(self, device_ids: Iterable[str]) -> None:
        self.recheck.add(device_ids)

    def _try_to_commit(self, transaction: Transaction) -> None:
        """Commit what must not keep the server from serving phones."""
        try:
            self.store.commit(transaction)
        except StoreError as error:
            log.error("the store cannot be written: error=%s", error)
