"""Configs for phones that are not known yet."""

from __future__ import annotations

import time

from provd.model.config import AUTOCREATE_ROLE, Config
from provd.store.collection import Collection


class AutoprovConfigs:
    """Derives a config for a new device from the config with the role `autocreate`.

    The derived config holds one thing of its own: the user name of line 1, made unique by a number, so that each
    phone has an account of its own. The numbers begin with the time, so that they differ between starts.
    """

    def __init__(self, configs: Collection) -> None:
        self._configs = configs
        self._number = int(time.time())

    @property
    def available(self) -> bool:
        """There is a config to derive from, and it has a line to give an account to."""
        return self._template() is not None

    def derive(self) -> Config | None:
        """A new config, not stored yet; None if there is nothing to derive it from."""
        template = self._template()
        if template is None:
            return None
        template_id, username = template
        while f"autoprov{self._number}" in self._configs:
            self._number += 1
        number, self._number = self._number, self._number + 1
        return {
            "id": f"autoprov{number}",
            "parent_ids": [template_id],
            "raw_config": {"sip_lines": {"1": {"username": f"{username}{number}"}}},
            "transient": True,
        }

    def _template(self) -> tuple[str, str] | None:
        """The id and the base user name of the first config with the role."""
        for config_id in self._configs.find("role", AUTOCREATE_ROLE):
            config = self._configs.get(config_id) or {}
            line = (config.get("raw_config", {}).get("sip_lines") or {}).get("1") or {}
            if line.get("username"):
                return config_id, str(line["username"])
        return None
