"""How many places a client may take at a door, so that one cannot take those of all the others."""

from __future__ import annotations

from provd.model.address import is_ipv6, network_of


class Quota:
    """Counts the places that addresses, in stored form, have taken.

    An address may have `per_address` of them. A host with IPv6 has as many addresses as it likes, so its network
    may have half of all places; that is not less than `per_address`, because a whole site of phones may be in one.
    """

    def __init__(self, per_address: int, total: int) -> None:
        self._taken: dict[str, int] = {}
        self.limit(per_address, total)

    def limit(self, per_address: int, total: int) -> None:
        """Allow so many places from now on; who has more keeps them."""
        self._per_address = per_address
        self._per_network = max(per_address, total // 2)

    def has_room(self, address: str) -> bool:
        """Tell whether the address may take one place more."""
        if self._taken.get(address, 0) >= self._per_address:
            return False
        return not is_ipv6(address) or self._taken.get(network_of(address), 0) < self._per_network

    def take(self, address: str) -> None:
        """Count one place more."""
        for each in _counted(address):
            self._taken[each] = self._taken.get(each, 0) + 1

    def give_back(self, address: str) -> None:
        """Count one place less."""
        for each in _counted(address):
            if self._taken[each] > 1:
                self._taken[each] -= 1
            else:
                del self._taken[each]  # or the addresses of years would stay


def _counted(address: str) -> tuple[str, ...]:
    return (address, network_of(address)) if is_ipv6(address) else (address,)

