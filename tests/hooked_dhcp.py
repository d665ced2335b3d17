"""Configurations of the three DHCP servers that run the hook, and the client that plays a phone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

VENDOR_CLASS = "AastraIPPhone6731i"

ISC, KEA, DNSMASQ = "ISC dhcpd", "Kea", "dnsmasq"
SERVERS = (ISC, KEA, DNSMASQ)
TELLS_OPTIONS = {ISC: True, KEA: False, DNSMASQ: True}

UDHCPC_SCRIPT = """\
#!/bin/sh
# Only the address: nothing but the interface that this is about may change.
case $1 in
bound | renew)
    ip addr replace "$ip/24" dev "$interface"
    # udhcpc gives back a lease when it is ended, but not when it ends by itself.
    if [ -n "$RELEASE" ]; then kill -TERM $PPID; fi
    ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Pool:
    """What a server gives: `size` addresses from `first` on, of the /24 that begins with `network`."""

    network: str
    interface: str
    first: int
    size: int = 11

    @property
    def addresses(self) -> list[str]:
        """All of them."""
        return [f"{self.network}.{number}" for number in range(self.first, self.first + self.size)]


def udhcpc(interface: str, script: str, *, vendor_class: str = VENDOR_CLASS, release: bool = False) -> list[str]:
    """The command that gets a lease, takes the address, and ends; at the end it may give the lease back."""
    return [
        "env", f"RELEASE={'yes' if release else ''}", "timeout", "40",
        "busybox", "udhcpc", "-i", interface, "-f", "-n", "-t", "10", "-T", "2",
        "-V", vendor_class, "-s", script, "-R" if release else "-q",
    ]  # fmt: skip


def dhcpd_conf(pool: Pool, hook: Sequence[str]) -> str:
    """Of ISC dhcpd; `hook` is the command and its first arguments."""
    command = ", ".join(f'"{part}"' for part in hook)
    return f"""\
authoritative;
ping-check false;
default-lease-time 600;
subnet {pool.network}.0 netmask 255.255.255.0 {{
  range {pool.addresses[0]} {pool.addresses[-1]};
  on commit {{
    execute({command}, "commit",
      binary-to-ascii(10, 8, ".", leased-address),
      binary-to-ascii(16, 8, ":", suffix(hardware, 6)),
      pick-first-value(concat("060", binary-to-ascii(16, 8, ".", option vendor-class-identifier)), ""));
  }}
  on release or expiry {{
    execute({command}, "release", binary-to-ascii(10, 8, ".", leased-address));
  }}
}}
"""


def kea_conf(pool: Pool, hook: str, *, library: str, leases: str) -> str:
    """Of Kea; `hook` is a program, because Kea gives it no arguments but its own."""
    return json.dumps(
        {
            "Dhcp4": {
                "interfaces-config": {"interfaces": [pool.interface]},
                "lease-database": {"type": "memfile", "name": leases},
                "valid-lifetime": 600,
                "hooks-libraries": [{"library": library, "parameters": {"name": hook, "sync": False}}],
                "subnet4": [
                    {
                        "id": 1,
                        "subnet": f"{pool.network}.0/24",
                        "pools": [{"pool": f"{pool.addresses[0]} - {pool.addresses[-1]}"}],
                    }
                ],
                "loggers": [{"name": "kea-dhcp4", "output_options": [{"output": "stdout"}], "severity": "INFO"}],
            }
        }
    )


def dnsmasq_conf(pool: Pool, hook: str, *, folder: str) -> str:
    """Of dnsmasq; `hook` is a program, because dnsmasq gives it no arguments but its own."""
    return f"""\
port=0
interface={pool.interface}
bind-interfaces
dhcp-authoritative
no-ping
dhcp-range={pool.addresses[0]},{pool.addresses[-1]},255.255.255.0,600
dhcp-script={hook}
dhcp-leasefile={folder}/dnsmasq.leases
pid-file={folder}/dnsmasq.pid
log-facility=-
user=root
"""
