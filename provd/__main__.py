"""`xivo-provd`: the daemon, or a sub-command that needs nothing of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

DHCP_CONFIG = "dhcp-config"


def main(arguments: Sequence[str] | None = None) -> None:
    """Do what the command line says; what it is for, is imported first then."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == [DHCP_CONFIG]:
        from provd.dhcp.command import main as dhcp_config

        dhcp_config(given[1:])
    else:
        from provd.daemon import main as daemon  # its first line is gevent's monkey patching

        daemon(given)


if __name__ == "__main__":
    main()
