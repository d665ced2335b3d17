"""Work on many devices: making their files anew, changing their plugin, and undoing that.

Phones have their turn between two devices. Each device is changed for itself, so that a stop or a crash in between
leaves some changed and some not, and each with its files.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from provd.errors import ConflictError, InvalidValueError, NotFoundError, PluginError
from provd.model.device import Device
from provd.model.operation import Operation
from provd.plugins.host import PluginHost
from provd.provisioning.configure import Configurer
from provd.provisioning.devices import DeviceVerbs
from provd.provisioning.recheck import Recheck, give_way
from provd.store.schema import DEVICES, PARAMETERS
from provd.store.store import Store, Transaction

log = logging.getLogger(__name__)

MAX_FAILURES = 20
"""Failures after which a change of many devices stops, unless the caller says otherwise."""
_CHANGE = "plugin_change "
"""Begins the id of what is kept of each change of plugins, so that it can be undone."""
_MAX_CHANGES = 20


@dataclass(slots=True)
class Outcome:
    """What came of work on many devices. `stopped` tells that the rest was left because too many failed."""

    changed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    stopped: bool = False
    change_id: str | None = None

    def as_data(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return {
            "changed": len(self.changed),
            "failed": self.failed,
            "stopped": self.stopped,
            "change_id": self.change_id,
        }


class TooManyFailuresError(PluginError):
    """Work on many devices was stopped, because it failed for too many."""

    http_status = 409


class MassVerbs:
    """Verbs on many devices. Each takes an operation, which counts the devices and may be cancelled."""

    def __init__(
        self, store: Store, host: PluginHost, configurer: Configurer, devices: DeviceVerbs, recheck: Recheck
    ) -> None:
        self._store = store
        self._devices = store.collection(DEVICES)
        self._parameters = store.collection(PARAMETERS)
        self._host = host
        self._configurer = configurer
        self._verbs = devices
        self._recheck = recheck

    def reconfigure(
        self, device_ids: Sequence[str], operation: Operation, *, max_failures: int | None = None
    ) -> Outcome:
        """Make the files of devices anew; only those that differ are written.

        Raises:
            OperationCancelledError: somebody wanted it to stop.
            TooManyFailuresError: more than `max_failures` devices could not be configured.
        """

        def configure(device_id: str) -> str | None:
            return self._recheck.work_off([device_id]).get(device_id)

        return self._for_each(device_ids, configure, operation, max_failures)

    def devices_of(self, plugin_id: str) -> tuple[str, ...]:
        """The devices that have a plugin."""
        return self._devices.find("plugin", plugin_id)

    def change_plugin(
        self,
        old: str,
        new: str,
        operation: Operation,
        *,
        device_ids: Sequence[str] | None = None,
        dry_run: bool = False,
        max_failures: int | None = MAX_FAILURES,
    ) -> Outcome:
        """Give devices of the plugin `old`, all of them or those of `device_ids`, the plugin `new`.

        What the new plugin makes of a device is rendered first: if that fails, the device stays as it was. The old
        files go when the new ones are there. With `dry_run` nothing is changed.

        Raises:
            InvalidValueError: `new` is not installed, or does not load.
            OperationCancelledError: somebody wanted it to stop; what was changed can be undone.
            TooManyFailuresError: it failed for more than `max_failures` devices; what was changed can be undone.
        """
        if self._host.get(new) is None:
            raise InvalidValueError("plugin", new, "an installed plugin that loads")
        chosen = list(self.devices_of(old) if device_ids is None else device_ids)
        change_id = None if dry_run else self._remember(old, new, chosen)

        def change(device_id: str) -> str | None:
            return self._change_one(device_id, old, new, dry_run=dry_run)

        outcome = self._for_each(chosen, change, operation, max_failures, change_id)
        log.info(
            "plugin of devices changed: from=%s to=%s devices=%d failed=%d dry_run=%s change=%s",
            old, new, len(outcome.changed), len(outcome.failed), dry_run, change_id,
        )  # fmt: skip
        return outcome

    def changes(self) -> list[dict[str, Any]]:
        """The changes of plugins that can be undone, the newest first."""
        found = [self._parameters.get(each) or {} for each in self._change_ids()]
        shown = [{key: each[key] for key in ("id", "time", "from", "to")} | {"devices": len(each["devices"])}
                 for each in found if each]  # fmt: skip
        return sorted(shown, key=lambda each: str(each["time"]), reverse=True)

    def undo(self, change_id: str, operation: Operation, *, max_failures: int | None = MAX_FAILURES) -> Outcome:
        """Give the devices of a change of plugins the plugin that they had, as far as they still have the new one.

        Raises:
            InvalidValueError: the old plugin is not installed any more.
            NotFoundError: there is no such change, or it is forgotten.
            OperationCancelledError, TooManyFailuresError: as for `change_plugin`.
        """
        change = self._parameters.get(_CHANGE + change_id)
        if change is None:
            raise NotFoundError(f"there is no change {change_id!r} that could be undone")
        still_there = [each for each in change["devices"] if self._devices.has("plugin", change["to"], each)]
        return self.change_plugin(
            change["to"], change["from"], operation, device_ids=still_there, max_failures=max_failures
        )

    def _change_one(self, device_id: str, old: str, new: str, *, dry_run: bool) -> str | None:
        """Change one device; returns why that failed, or None. One that has another plugin by now is left alone."""
        stored = self._devices.get_stored(device_id)
        if stored is None or stored.document.get("plugin") != old:
            return None
        changed: Device = {**stored.document, "plugin": new}
        reason = self._configurer.trial(changed)
        if reason is not None or dry_run:
            return reason
        try:
            self._verbs.change(device_id, changed, stored.revision)
        except ConflictError:
            return self._change_one(device_id, old, new, dry_run=False)  # its phone was faster
        except NotFoundError:
            return None
        return (self._devices.get(device_id) or {}).get("configure_error")

    def _for_each(
        self,
        device_ids: Sequence[str],
        work: Callable[[str], str | None],
        operation: Operation,
        max_failures: int | None,
        change_id: str | None = None,
    ) -> Outcome:
        outcome = Outcome(change_id=change_id)
        operation.begin(len(device_ids))
        operation.result = outcome.as_data()
        for device_id in device_ids:
            operation.check()
            reason = work(device_id)
            if reason is None:
                outcome.changed.append(device_id)
            else:
                outcome.failed[device_id] = reason
            operation.result = outcome.as_data() if reason is not None else operation.result
            operation.advance()
            if max_failures is not None and len(outcome.failed) > max_failures:
                outcome.stopped = True
                operation.result = outcome.as_data()
                raise TooManyFailuresError(
                    f"stopped after {operation.current} of {len(device_ids)} devices, because it failed for "
                    f"{len(outcome.failed)}: {_some(outcome.failed)}"
                )
            give_way()
        operation.result = outcome.as_data()
        return outcome

    def _remember(self, old: str, new: str, device_ids: Iterable[str]) -> str:
        """Keep what is going to be changed before it is, and forget the oldest changes."""
        change_id = uuid.uuid4().hex
        document = {
            "id": change_id, "time": datetime.now(UTC).isoformat(timespec="microseconds"), "from": old, "to": new,
            "devices": list(device_ids),
        }  # fmt: skip
        transaction = Transaction().put(PARAMETERS, _CHANGE + change_id, document, 0)
        for each in self.changes()[_MAX_CHANGES - 1 :]:
            transaction.delete(PARAMETERS, _CHANGE + each["id"])
        self._store.commit(transaction)
        return change_id

    def _change_ids(self) -> list[str]:
        return [each for each in self._parameters.ids() if each.startswith(_CHANGE)]


def _some(failed: dict[str, str]) -> str:
    """One failure that stands for the others."""
    device_id, reason = next(iter(failed.items()))
    return f"device {device_id}: {reason}"
