"""The application: everything that can be done, in one object that doors and commands use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import gevent

from provd.model.config import check_config
from provd.netinfo import local_addresses
from provd.plugins.host import PluginHost
from provd.plugins.requirements import needed_to_report_sensitive_files
from provd.provisioning.addresses import Addresses
from provd.provisioning.admission import Admission
from provd.provisioning.configs import ConfigVerbs
from provd.provisioning.configure import Configurer
from provd.provisioning.custom_templates import CustomTemplateVerbs
from provd.provisioning.decisions import Decisions
from provd.provisioning.devices import DeviceVerbs
from provd.provisioning.doubts import Doubts
from provd.provisioning.expiry import Expiry
from provd.provisioning.fileservice import FileService
from provd.provisioning.leases import LeaseDesk
from provd.provisioning.locks import KeyedLocks, of_device
from provd.provisioning.mass import MassVerbs
from provd.provisioning.nat_advice import nat_objection, warn_of_devices
from provd.provisioning.operations import Operations
from provd.provisioning.phones import PhoneDesk
from provd.provisioning.plugins import PluginSource, PluginVerbs
from provd.provisioning.recheck import Recheck
from provd.provisioning.recognition import Recogniser
from provd.provisioning.settling import Settler
from provd.provisioning.standard_configs import standard_configs
from provd.security.log import SecurityLog
from provd.security.nat import NatSwitch
from provd.store.schema import CONFIGS, DEVICES, RENDERINGS
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)


class Application:
    """Devices, configs and phones, over a store and the installed plugins.

    `base_raw_config` lies under every config: the addresses and ports that phones are told to use. With
    `address_facing` each phone is told the address that this returns for its own, if there is one. Plugins come from
    `plugin_source`; by default there is none to install.
    """

    def __init__(
        self,
        store: Store,
        host: PluginHost,
        security_log: SecurityLog,
        base_raw_config: Mapping[str, Any],
        nat: NatSwitch | None = None,
        address_facing: Callable[[str], str | None] | None = None,
        plugin_source: PluginSource | None = None,
    ) -> None:
        self._locks = locks = KeyedLocks()
        self.store = store
        self.host = host
        self.nat = nat or NatSwitch()
        self._devices = store.collection(DEVICES)
        self.recheck = Recheck(self._check_files, lambda: self.doubts.settled())
        self.doubts = Doubts(
            store, host, self.recheck, base_raw_config, tuple if address_facing is None else local_addresses
        )
        self.configurer = Configurer(store, host, base_raw_config, locks, self.recheck.add, address_facing)
        self.devices = DeviceVerbs(store, self.configurer, self.recheck, locks)
        self.configs = ConfigVerbs(store, self.recheck)
        self.custom_templates = CustomTemplateVerbs(store, host, self.configurer)
        self.mass = MassVerbs(store, host, self.configurer, self.devices, self.recheck)
        source = plugin_source or PluginSource.none(host.folder)
        self.plugins = PluginVerbs(host, self.mass, self.doubts, base_raw_config, source)
        self.operations = Operations()
        self.decisions = Decisions()
        self.admission = Admission(self.nat, security_log, self.unclaimed)
        recogniser = Recogniser(store, host, self.nat, self.admission)
        settler = Settler(
            store, host, recogniser, self.configurer, self.recheck, locks, security_log, self.nat, self.admission
        )
        files = FileService(host, store.collection(RENDERINGS), security_log)
        self.phones = PhoneDesk(
            store, recogniser, settler, self.configurer, files, self.recheck, locks, self.decisions
        )
        addresses = Addresses(store, locks, self.nat)
        self.leases = LeaseDesk(store, recogniser, settler, addresses, locks, self.decisions)
        self.expiry = Expiry(self._devices, self.devices)
        self._base = dict(base_raw_config)

    def begin(self) -> None:
        """Bring an empty store to life, and find out which devices' files may not be what the store says.

        Raises:
            StoreError: the store is empty and cannot be written.
        """
        is_empty = not len(self.store.collection(CONFIGS)) and not len(self._devices)
        if is_empty and not self.store.unreadable:
            self._create_standard_configs()
        if not self.store.was_clean:
            self.host.remove_leftovers()
            self.plugins.recover()
        self.configurer.remove_orphans()
        self.doubts.begin()
        self._warn_of_missing_plugins()
        self._warn_of_old_plugins()
        self.warn_of_nat()

    def end(self) -> None:
        """Stop background work, and see to it that files and store can be trusted at the next start.

        The store stays open; whoever opened it closes it.
        """
        self.operations.stop()
        self.expiry.stop()
        self.recheck.stop()
        self.doubts.end()

    def _create_standard_configs(self) -> None:
        transaction = Transaction()
        for config in standard_configs(str(self._base["ip"])):
            transaction.put(CONFIGS, config["id"], check_config(config), 0)
        self.store.commit(transaction)
        log.info("standard configs created: server_address=%s", self._base["ip"])

    def _warn_of_missing_plugins(self) -> None:
        if not self.host.installed:
            log.warning("no plugin is installed: no phone gets anything; see --install-plugin")
        for plugin_id in self._devices.keys("plugin"):
            if plugin_id not in self.host.installed:
                count = self._devices.count("plugin", plugin_id)
                log.error("plugin is not installed: plugin=%s devices=%d", plugin_id, count)

    def _warn_of_old_plugins(self) -> None:
        """Name the plugins whose phones' secrets fail2ban cannot watch over."""
        for plugin_id in sorted(self.host.installed):
            plugin = self.host.get(plugin_id)
            needed = needed_to_report_sensitive_files(plugin_id, plugin.info.version) if plugin is not None else None
            if plugin is not None and needed is not None:
                log.warning(
                    "plugin is too old to report sensitive files, upgrade it: plugin=%s version=%s needed=%s",
                    plugin_id, plugin.info.version, needed,
                )  # fmt: skip

    def set_nat(self, is_on: bool) -> None:
        """Turn the NAT switch; when it is on, say in the background which devices that does not suit."""
        self.nat.set(is_on)
        self.admission.begin_anew()
        self.warn_of_nat()

    def warn_of_nat(self) -> None:
        """Say in the background which devices do not work behind NAT, if that is where the phones are."""
        if self.nat.is_on:
            gevent.spawn(warn_of_devices, self._devices, self.host)

    def nat_objection(self, device_id: str) -> str | None:
        """Why a device cannot be relied on behind NAT, or None: it can, or nobody says that it is behind NAT."""
        device = self._devices.get(device_id)
        return nat_objection(device, self.host) if device is not None and self.nat.is_on else None

    def unclaimed(self) -> int:
        """How many devices came to be by themselves and were never changed."""
        return sum(self._devices.count("contact", day) for day in self._devices.keys("contact"))

    def _check_files(self, device_id: str) -> str | None:
        with self._locks.hold(of_device(device_id)), self.recheck.turn(device_id) as is_waiting:
            if is_waiting:
                return self.configurer.configure_held(device_id)
            return (self._devices.get(device_id) or {}).get("configure_error")  # somebody else made them a moment ago
