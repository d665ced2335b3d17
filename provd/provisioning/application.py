"""The application: everything that can be done, in one object that doors and commands use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from provd.model.config import check_config
from provd.plugins.host import PluginHost
from provd.provisioning.autoprov import AutoprovConfigs
from provd.provisioning.configs import ConfigVerbs
from provd.provisioning.configure import Configurer
from provd.provisioning.devices import DeviceVerbs
from provd.provisioning.fileservice import FileService
from provd.provisioning.locks import KeyedLocks
from provd.provisioning.phones import Collaborators, PhoneDesk
from provd.provisioning.recheck import Recheck
from provd.provisioning.standard_configs import standard_configs
from provd.security.log import SecurityLog
from provd.store.schema import CONFIGS, DEVICES, PARAMETERS, RENDERINGS
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_BASE_RAW_CONFIG = "base_raw_config"


class Application:
    """Devices, configs and phones, over a store and the installed plugins.

    `base_raw_config` lies under every config: the addresses and ports that phones are told to use.
    """

    def __init__(
        self, store: Store, host: PluginHost, security_log: SecurityLog, base_raw_config: Mapping[str, Any]
    ) -> None:
        locks = KeyedLocks()
        self.store = store
        self.host = host
        self.configurer = Configurer(store, host, base_raw_config, locks)
        self.devices = DeviceVerbs(store, self.configurer, locks)
        self.configs = ConfigVerbs(store, self.configurer)
        self.recheck = Recheck(self.configurer)
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

    def begin(self, new_plugins: list[str]) -> None:
        """Bring an empty store to life, and find out which devices' files may not be what the store says.

        `new_plugins` are the plugins that were installed since the last start.

        Raises:
            StoreError: the store cannot be written.
        """
        if not len(self.store.collection(CONFIGS)) and not len(self.store.collection(DEVICES)):
            self._create_standard_configs()
        self._recheck_files(new_plugins)

    def end(self) -> None:
        """Stop background work. The store stays open; whoever opened it closes it."""
        self.recheck.stop()

    def _create_standard_configs(self) -> None:
        transaction = Transaction()
        for config in standard_configs(str(self._base["ip"])):
            transaction.put(CONFIGS, config["id"], check_config(config), 0)
        self.store.commit(transaction)
        log.info("standard configs created: server_address=%s", self._base["ip"])

    def _recheck_files(self, new_plugins: list[str]) -> None:
        devices = self.store.collection(DEVICES)
        parameters = self.store.collection(PARAMETERS)
        known = parameters.get(_BASE_RAW_CONFIG)
        current = {"value": self._base}
        if not self.store.was_clean or (known is not None and known != current):
            reason = "other addresses or ports" if self.store.was_clean else "the last stop was not clean"
            log.info("all devices' files are checked: reason=%r", reason)
            self.recheck.add(devices.ids())
        for plugin_id in new_plugins:
            self.recheck.add(devices.find("plugin", plugin_id))
        if known != current:
            self.store.commit(Transaction().put(PARAMETERS, _BASE_RAW_CONFIG, current))
