"""Admission: how many phones that were never seen before may become devices, and how fast.

Anybody can make phones up. So new devices are limited by token buckets, one for each address and one for all, and
those that nobody has claimed by changing them are limited in number.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from provd.model.address import is_ipv6, network_of
from provd.occasionally import OccasionallyForEach
from provd.security.log import SecurityLog
from provd.security.nat import NatSwitch

log = logging.getLogger(__name__)

MAX_ADDRESSES = 10_000
"""Addresses whose buckets are remembered; of more, the one that made a device longest ago is forgotten."""

ADDRESS_LIMIT = "address"
TOTAL_LIMIT = "total"
FULL = "full"
REASONS = {
    ADDRESS_LIMIT: "refused: too many new phones from this address",
    TOTAL_LIMIT: "refused: too many new phones from all addresses together",
    FULL: "refused: too many devices that nobody has claimed",
}
"""What a decision trace says for each limit that the security log names."""


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """The settings of admission; the table of settings says what each means."""

    burst: int = 2000
    per_minute: int = 600
    address_burst: int = 20
    address_per_minute: int = 10
    nat_address_burst: int = 500
    nat_address_per_minute: int = 60
    max_unclaimed: int = 20_000
    unknown_leases: bool = False


class Bucket:
    """A token bucket: holds `burst` tokens and gets `per_minute` new ones each minute, evenly."""

    __slots__ = ("_at", "_tokens")

    def __init__(self, burst: int, now: float) -> None:
        self._tokens = float(burst)
        self._at = now

    def has_token(self, burst: int, per_minute: int, now: float) -> bool:
        """Tell whether there is a token."""
        self._tokens = min(float(burst), self._tokens + (now - self._at) * per_minute / 60.0)
        self._at = now
        return self._tokens >= 1.0

    def take(self) -> None:
        """Take a token; the caller knows that there is one."""
        self._tokens -= 1.0

    def give_back(self) -> None:
        """Give a token back that was taken for nothing."""
        self._tokens += 1.0


class Admission:
    """Decides whether one more device may be made. `unclaimed` counts the devices that nobody has claimed."""

    def __init__(
        self,
        nat: NatSwitch,
        security_log: SecurityLog,
        unclaimed: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = AdmissionLimits()
        self.refused: Counter[str] = Counter()
        """How many requests were refused, by limit."""
        self._nat = nat
        self._security_log = security_log
        self._unclaimed = unclaimed
        self._clock = clock
        self._all = Bucket(self.limits.burst, clock())
        self._by_address: OrderedDict[str, Bucket] = OrderedDict()
        self._being_made = 0
        self._complaint = OccasionallyForEach()

    def use(self, limits: AdmissionLimits) -> None:
        """Keep to these limits from now on; if they are others than before, the bursts begin anew."""
        if limits != self.limits:
            self.limits = limits
            self.begin_anew()

    def begin_anew(self) -> None:
        """All bursts may be used again, because other limits hold from now on."""
        self._all = Bucket(self.limits.burst, self._clock())
        self._by_address.clear()

    def limit_reached(self, address: str) -> str | None:
        """The limit that keeps a new phone at this address from becoming a device now, or None."""
        if self._unclaimed() + self._being_made >= self.limits.max_unclaimed:
            return FULL
        now = self._clock()
        bucket = self._by_address.get(network_of(address))
        if bucket is not None and not bucket.has_token(*self._address_limits(address), now):
            return ADDRESS_LIMIT
        return None if self._all.has_token(self.limits.burst, self.limits.per_minute, now) else TOTAL_LIMIT

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """A device is made for a phone at this address: the caller knows that no limit is reached.

        Who waits to be made has a place, too: otherwise a flood would wait without limit, and take all connections.
        What fails counts for nothing, or phones that only ask again would be refused, and banned by fail2ban.
        """
        bucket = self._bucket_of(address)
        bucket.take()
        self._all.take()
        self._being_made += 1
        try:
            yield
        except BaseException:
            bucket.give_back()
            self._all.give_back()
            raise
        finally:
            self._being_made -= 1

    def _bucket_of(self, address: str) -> Bucket:
        """The bucket of an address, from now on the last to be forgotten."""
        site = network_of(address)
        bucket = self._by_address.pop(site, None)
        if bucket is None:
            bucket = Bucket(self._address_limits(address)[0], self._clock())
            if len(self._by_address) >= MAX_ADDRESSES:
                self._by_address.popitem(last=False)
        self._by_address[site] = bucket
        return bucket

    def refuse(self, address: str, limit: str) -> None:
        """Count a refusal, and tell the security log; of each limit, tell the administrator now and then."""
        self.refused[limit] += 1
        self._security_log.new_device_refused(address, limit)
        if self._complaint.due(limit):
            option, unreported = self._option_of(limit, address), self._complaint.missed
            advice = f"if these are your phones, raise admission.{option}"
            line = "new phones are refused: limit=%s address=%s advice=%r unreported=%d"
            log.warning(line, limit, address, advice, unreported)

    def _option_of(self, limit: str, address: str) -> str:
        """The setting that sets a limit."""
        if limit == ADDRESS_LIMIT:
            return "nat_address_burst" if self._is_shared(address) else "address_burst"
        return "burst" if limit == TOTAL_LIMIT else "max_unclaimed"

    def _is_shared(self, address: str) -> bool:
        """Several phones may share a bucket: behind NAT an address, of IPv6 a /64, which a whole site may be in."""
        return self._nat.is_on or is_ipv6(address)

    def _address_limits(self, address: str) -> tuple[int, int]:
        limits = self.limits
        if self._is_shared(address):
            return limits.nat_address_burst, limits.nat_address_per_minute
        return limits.address_burst, limits.address_per_minute
