"""The sections `[install_…]`: steps `<src>-<dst>: <step>` that lead from a package's files to what phones get."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from provd.errors import PackageError
from provd.plugins.firmware.inifile import Section
from provd.plugins.firmware.values import PackageFile, Step, inner_path

FILES_NODE = "a"
"""The node that holds the package's files, under their local names."""

_ARGUMENTS: dict[str, tuple[int, int | None]] = {
    "unzip": (1, 1),
    "untar": (1, 1),
    "unrar": (1, 1),
    "7z": (1, 1),
    "unsign": (2, 2),
    "include": (1, None),
    "exclude": (1, None),
    "cp": (2, None),
    "null": (0, 0),
}
"""How many arguments each kind of step takes, at least and at most."""

_NODES = re.compile(r"([a-z])-([a-z])")
_VARIABLE = re.compile(r"(\\\$)|\$(?:(FILE|ARG)([1-9][0-9]{0,3})(?![0-9A-Za-z_]))?")


@dataclass(frozen=True, slots=True)
class InstallGraph:
    """The steps in an order in which they can be done, their variables not replaced yet, and the resulting nodes."""

    steps: tuple[Step, ...]
    results: tuple[str, ...]


def parse_graph(section: Section) -> InstallGraph:
    """Check the steps of an `[install_…]` section.

    Raises:
        PackageError: one is wrong, a node has two producers or none, or there is no step.
    """
    steps = [_parse_step(section.name, key, entry.value, entry.place) for key, entry in section.entries.items()]
    if not steps:
        raise PackageError(f"{section.place}: [{section.name}] has no steps; allowed: <src>-<dst>: <step>")
    producers: dict[str, Step] = {}
    for step in steps:
        if step.target in producers:
            other = producers[step.target].place
            raise PackageError(f"{step.place}: node {step.target!r} has two producers, the other: {other}")
        producers[step.target] = step
    sources = {step.source for step in steps}
    return InstallGraph(_ordered(steps), tuple(sorted(target for target in producers if target not in sources)))


def resolve(graph: InstallGraph, files: Sequence[PackageFile], arguments: Sequence[str]) -> tuple[Step, ...]:
    """The steps with their variables replaced: by the package's files, and the arguments of its `install`.

    Raises:
        PackageError: there are fewer files or arguments than a step wants, or a path leaves its folder.
    """
    values = {f"FILE{number}": file.filename for number, file in enumerate(files, 1)}
    values |= {f"ARG{number}": argument for number, argument in enumerate(arguments, 1)}
    return tuple(_resolve_step(step, values) for step in graph.steps)


def _parse_step(section: str, key: str, text: str, place: str) -> Step:
    place = f"{place}: [{section}] {key}"
    nodes = _NODES.fullmatch(key)
    if nodes is None:
        raise PackageError(f"{place}: not allowed; allowed: two letters and a dash, such as a-b")
    if nodes[2] == FILES_NODE:
        raise PackageError(f"{place}: node {FILES_NODE!r} holds the package's files and cannot be a target")
    action, *arguments = text.split() or [""]
    if action not in _ARGUMENTS:
        raise PackageError(f"{place}: the step {action!r} is not allowed; allowed: {', '.join(_ARGUMENTS)}")
    least, most = _ARGUMENTS[action]
    if len(arguments) < least or (most is not None and len(arguments) > most):
        needed = f"{least}" if least == most else f"at least {least}"
        raise PackageError(f"{place}: {action} has {len(arguments)} arguments; needed: {needed}")
    return Step(nodes[1], nodes[2], action, tuple(arguments), place)


def _ordered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Each step after the one that makes its source."""
    reached, waiting, ordered = {FILES_NODE}, list(steps), []
    while waiting:
        ready = [step for step in waiting if step.source in reached]
        if not ready:
            raise PackageError(f"{waiting[0].place}: no steps lead from {FILES_NODE!r} to {waiting[0].source!r}")
        ordered += ready
        reached.update(step.target for step in ready)
        waiting = [step for step in waiting if step.target not in reached]
    return tuple(ordered)


def _resolve_step(step: Step, values: dict[str, str]) -> Step:
    globs = {"include": len(step.arguments), "exclude": len(step.arguments), "cp": len(step.arguments) - 1}
    resolved = []
    for index, argument in enumerate(step.arguments):
        is_glob = index < globs.get(step.action, 0)
        try:
            text = _substitute(argument, values, is_glob=is_glob, literal=step.source == FILES_NODE)
            path = inner_path(text)
        except PackageError as error:
            raise PackageError(f"{step.place}: {error}") from None
        is_target = step.action == "cp" and not is_glob
        if not path and not is_target:
            raise PackageError(f"{step.place}: {argument!r} is not allowed; allowed: the name of a file")
        folder = is_target and (text.endswith("/") or not path)
        resolved.append(f"{path}/" if folder else path)
    return replace(step, arguments=tuple(resolved))


def _substitute(text: str, values: dict[str, str], *, is_glob: bool, literal: bool) -> str:
    """`text` with its variables; in a glob, what is a file's name stands for itself."""

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        name = f"{match[2]}{match[3]}" if match[2] else match[0]
        if name not in values:
            known = ", ".join(f"${known}" for known in values) or "none"
            raise PackageError(f"{text!r}: there is no such variable here; allowed: {known}, and \\$ for a dollar")
        return glob.escape(values[name]) if is_glob and not literal and match[2] == "FILE" else values[name]

    replaced = _VARIABLE.sub(value, text)
    return glob.escape(replaced) if is_glob and literal else replaced
