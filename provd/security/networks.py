"""Where phones may come from."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from provd.model.address import IPNetwork

_MAX_REMEMBERED = 4096


class PhoneNetworks:
    """The networks that requests are answered for; none means all."""

    def __init__(self, networks: Sequence[IPNetwork] = ()) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, bool] = {}

    def allows(self, address: str) -> bool:
        """Tell whether a phone may have an address, which is in stored form."""
        if not self._networks:
            return True
        known = self._known.get(address)
        if known is None:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            known = self._known[address] = self._contains(address)
        return known

    def _contains(self, address: str) -> bool:
        parsed = ipaddress.ip_address(address.partition("%")[0])
        return any(parsed in network for network in self._networks)
