"""Doing a package's steps: from its files to the files that phones get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from provd.errors import PackageError
from provd.plugins.firmware import archives, fileset, programs
from provd.plugins.firmware.fileset import FileSet
from provd.plugins.firmware.graph import FILES_NODE
from provd.plugins.firmware.limits import Budget
from provd.plugins.firmware.values import Package, Step

_UNPACKERS: Mapping[str, Callable[[Path, Path, Budget], dict[str, Path]]] = {
    "unzip": archives.unzip,
    "untar": archives.untar,
    "unrar": programs.unrar,
    "7z": programs.un7z,
}


def build(
    package: Package, files: Mapping[str, Path], work: Path, budget: Budget, folder: str = ""
) -> dict[str, Path]:
    """Do all steps, unpacking below the empty folder `work`; returns what is to be put down, by its path.

    `files` are the package's files by their local names; `folder` is where below `var/tftpboot` the results go.

    Raises:
        OperationCancelledError: somebody wanted the operation to stop.
        PackageError: a step fails; the message says where it is written.
    """
    nodes: dict[str, FileSet] = {FILES_NODE: files}
    for number, step in enumerate(package.steps):
        budget.operation.check()
        place = work / str(number)
        place.mkdir()
        try:
            nodes[step.target] = _apply(step, nodes[step.source], place, budget)
        except PackageError as error:
            raise PackageError(f"{step.place}: {error}") from error
    return fileset.merge((nodes[name] for name in package.results), folder)


def _apply(step: Step, files: FileSet, place: Path, budget: Budget) -> FileSet:
    if step.action == "include":
        return fileset.include(files, step.arguments)
    if step.action == "exclude":
        return fileset.exclude(files, step.arguments)
    if step.action == "cp":
        return fileset.copy(files, step.arguments[:-1], step.arguments[-1])
    if step.action == "null":
        return {}
    source = files.get(step.arguments[0])
    if source is None:
        raise PackageError(f"there is no file {step.arguments[0]!r}")
    if step.action == "unsign":
        archives.unsign(source, place / "unsigned", budget)
        return {step.arguments[1]: place / "unsigned"}
    return _UNPACKERS[step.action](source, place, budget)
