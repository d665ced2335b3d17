"""What can be done with configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provd.errors import AlreadyExistsError, ConflictError, NotDeletableError, NotFoundError
from provd.model.config import check_config, descendants
from provd.provisioning.devices import new_id
from provd.provisioning.recheck import Recheck
from provd.store.schema import CONFIGS, DEVICES
from provd.store.store import Store, Transaction


class ConfigVerbs:
    """Adds, changes and removes configs, and keeps the files of the devices that use them as they say.

    Each verb returns the failures by device id: the change itself is stored also if a device cannot be configured
    with it.
    """

    def __init__(self, store: Store, recheck: Recheck) -> None:
        self._store = store
        self._configs = store.collection(CONFIGS)
        self._devices = store.collection(DEVICES)
        self._recheck = recheck

    def add(self, config: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """Store a new config and configure the devices that already name it; returns its id and the failures.

        Raises:
            AlreadyExistsError: there is a config with this id.
            InvalidValueError: a value is not allowed.
            StoreError: nothing was stored.
        """
        new = check_config(config)
        config_id = str(new.setdefault("id", new_id()))
        try:
            return config_id, self._commit(config_id, Transaction().put(CONFIGS, config_id, new, 0))
        except ConflictError:
            raise AlreadyExistsError(f"there is a config with the id {config_id!r} already") from None

    def change(self, config_id: str, config: Mapping[str, Any], revision: int | None = None) -> dict[str, str]:
        """Replace a config's document; the files of all devices that inherit from it are made anew.

        Raises:
            ConflictError: the config was changed since `revision`.
            InvalidValueError: a value is not allowed.
            NotFoundError: there is no such config.
            StoreError: nothing was changed.
        """
        new = check_config({**config, "id": config_id})
        stored = self._configs.get_stored(config_id)
        if stored is None:
            raise NotFoundError(f"there is no config {config_id!r}")
        if new == stored.document:
            return {}
        expected = stored.revision if revision is None else revision
        return self._commit(config_id, Transaction().put(CONFIGS, config_id, new, expected))

    def remove(self, config_id: str) -> dict[str, str]:
        """Remove a config; devices that had it lose their files, those that inherited from it are made anew.

        Raises:
            ConflictError: the config was changed in between.
            NotDeletableError: the config says so.
            NotFoundError: there is no such config.
            StoreError: nothing was changed.
        """
        stored = self._configs.get_stored(config_id)
        if stored is None:
            raise NotFoundError(f"there is no config {config_id!r}")
        if stored.document.get("deletable") is False:
            raise NotDeletableError(f"the config {config_id!r} cannot be removed: deletable is false")
        return self._commit(config_id, Transaction().delete(CONFIGS, config_id, stored.revision))

    def _commit(self, config_id: str, transaction: Transaction) -> dict[str, str]:
        """Store a change of a config and make the files of all devices anew that it concerns, before or after it."""
        before = self._users_of(config_id)
        with self._recheck.expected(before):
            self._store.commit(transaction)
        return self._recheck.work_off({**before, **self._users_of(config_id)})

    def _users_of(self, config_id: str) -> dict[str, None]:
        """The devices that have a config or one that inherits from it."""
        family = descendants(config_id, lambda parent: self._configs.find("parent", parent))
        return {device_id: None for each in family for device_id in self._devices.find("config", each)}
