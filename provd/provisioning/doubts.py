"""Which devices' files may not be what the store says: found out at the start, and when somebody asks.

What is not settled when the process ends is noted in the store, so that the next one begins with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from provd.atomicfile import sync_filesystem
from provd.errors import StoreError
from provd.plugins.fingerprint import fingerprint
from provd.plugins.host import PluginHost
from provd.provisioning.recheck import Recheck
from provd.provisioning.standard_configs import STANDARD_IDS, with_server_address
from provd.store.schema import CONFIGS, DEVICES, PARAMETERS, UNFINISHED
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

_BASE_RAW_CONFIG = "base_raw_config"
_LOCAL_ADDRESSES = "local_addresses"
_FINGERPRINTS = "fingerprints"
"""What `fingerprint` said of each plugin."""
_RECHECK = "recheck"
"""Is there while not all devices' files have been checked."""


class Doubts:
    """Puts devices into the queue `recheck`: all of them after an unclean stop, else those that something concerns.

    `local_addresses` are those of this machine, if what phones are told depends on them.
    """

    def __init__(
        self,
        store: Store,
        host: PluginHost,
        recheck: Recheck,
        base_raw_config: Mapping[str, Any],
        local_addresses: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._store = store
        self._host = host
        self._recheck = recheck
        self._base = dict(base_raw_config)
        self._local_addresses = local_addresses
        self._devices, self._parameters = store.collection(DEVICES), store.collection(PARAMETERS)

    def begin(self) -> None:
        """Compare with how the last process left everything."""
        self._begin_recheck()
        self.check_plugins()
        self.check_addresses()
        self._recheck.add(self._devices.find("state", UNFINISHED))

    def check_addresses(self) -> None:
        """Have all files made anew if this machine's addresses changed since the last look."""
        known = (self._parameters.get(_LOCAL_ADDRESSES) or {}).get("addresses")
        current = list(self._local_addresses())
        if current == (known or []):
            return
        self._try_to_commit(Transaction().put(PARAMETERS, _LOCAL_ADDRESSES, {"addresses": current}))
        if known is not None and len(self._devices):
            log.info("this machine has other addresses: now=%s before=%s", ",".join(current), ",".join(known))
            self._recheck.add(self._devices.ids())

    def check_plugins(self) -> None:
        """Have the files of those devices made anew whose plugin, or a template of it, changed since the last look."""
        for plugin_id in self.note_plugins():
            self._host.look_at_templates(plugin_id)
            devices = self._devices.find("plugin", plugin_id)
            if devices:
                log.info("plugin or templates changed: plugin=%s devices=%d", plugin_id, len(devices))
                self._recheck.add(devices)

    def note_plugins(self) -> list[str]:
        """Note how the plugins and their templates are now; returns which are not as at the last look."""
        known = (self._parameters.get(_FINGERPRINTS) or {}).get("plugins", {})
        current = {plugin.id: fingerprint(plugin.folder) for plugin in self._host.installed.values()}
        if current != known:
            self._try_to_commit(Transaction().put(PARAMETERS, _FINGERPRINTS, {"plugins": current}))
        return [each for each in current if current[each] != known.get(each)]

    def end(self) -> None:
        """See to it that the files can be trusted at the next start, or that it knows better."""
        doubt = f"{len(self._recheck)} were not checked before the last stop" if len(self._recheck) else None
        try:
            sync_filesystem(self._host.folder)
        except OSError as error:
            log.error("files may not be on the disk: error=%s", error)
            doubt = "the disk did not take them at the last stop"
        if doubt is None:
            self.settled()
        else:
            log.info("files are checked at the next start: reason=%r", doubt)
            self._try_to_commit(Transaction().put(PARAMETERS, _RECHECK, {"reason": doubt}))

    def settled(self) -> None:
        """Nothing waits any more."""
        if _RECHECK in self._parameters:
            self._try_to_commit(Transaction().delete(PARAMETERS, _RECHECK))

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
        if not self._store.was_clean:
            reason = "the last stop was not clean"
        if reason is not None:
            log.info("all devices' files are checked: reason=%r", reason)
            transaction.put(PARAMETERS, _RECHECK, {"reason": reason})
        if known != current:
            transaction.put(PARAMETERS, _BASE_RAW_CONFIG, current)
        self._try_to_commit(transaction)
        if reason is not None:
            self._recheck.add(self._devices.ids())
            if not len(self._recheck):
                self.settled()

    def _follow_address(self, transaction: Transaction, before: Mapping[str, Any]) -> None:
        """Put this server's new address into the standard configs, where the old one still stands."""
        old, new = str(before.get("ip")), str(self._base["ip"])
        configs = self._store.collection(CONFIGS)
        for config_id in STANDARD_IDS if old != new else ():
            stored = configs.get_stored(config_id)
            config = with_server_address(stored.document, old, new) if stored else None
            if stored and config and config != stored.document:
                log.info("config follows the server's address: config=%s ip=%s before=%s", config_id, new, old)
                transaction.put(CONFIGS, config_id, config, stored.revision)

    def _try_to_commit(self, transaction: Transaction) -> None:
        """Commit what must not keep the server from serving phones."""
        try:
            self._store.commit(transaction)
        except StoreError as error:
            log.error("the store cannot be written: error=%s", error)
