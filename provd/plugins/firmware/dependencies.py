"""What packages need of each other."""

from __future__ import annotations

from collections.abc import Mapping

from provd.plugins.firmware.values import Package


def cycles(packages: Mapping[str, Package]) -> dict[str, list[str]]:
    """The packages that need themselves, each with the way back to itself."""
    cycles = {}
    for start in packages:
        ways, seen = [[start]], set()
        while ways:
            way = ways.pop()
            for name in packages[way[-1]].depends:
                if name == start:
                    cycles[start] = [*way, start]
                elif name in packages and name not in seen:
                    seen.add(name)
                    ways.append([*way, name])
    return cycles


def install_order(packages: Mapping[str, Package], package_id: str) -> list[str]:
    """The packages that a package needs, those that others need first, and itself as the last; there are no cycles."""
    order: list[str] = []
    waiting = [(package_id, False)]
    while waiting:
        name, needs_are_there = waiting.pop()
        if name in order:
            continue
        if needs_are_there:
            order.append(name)
        else:
            waiting.append((name, True))
            waiting += [(needed, False) for needed in reversed(packages[name].depends)]
    return order
