"""The official plugins: found in the sources, built, unpacked and loaded as an administrator gets them."""

from __future__ import annotations

import importlib.util
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from provd.plugins.loader import LoadedPlugin, load_plugin
from provd.plugins.models import Model, parse_models

SOURCES = Path(__file__).parents[2] / "plugins"


def _builder() -> ModuleType:
    """`plugins/builder.py`, which is a script beside the sources and not part of a package."""
    spec = importlib.util.spec_from_file_location("provd_plugins_builder", SOURCES / "builder.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


builder = _builder()


@dataclass(frozen=True)
class Source:
    """What the sources of one plugin say: the family is the name of the folder that its versions share."""

    family: str
    id: str
    info: Mapping[str, Any] = field(repr=False)
    models: Mapping[str, Model] = field(repr=False)


def official_plugins() -> list[Source]:
    """All plugins that the builder would build."""
    return [_source(path.parent) for path in sorted(SOURCES.glob("*/*/plugin.toml"))]


def _source(version_folder: Path) -> Source:
    _, info = builder.plugin_files(version_folder)
    return Source(version_folder.parent.name, info["id"], info, parse_models(info["models"]))


def build_repository(folder: Path) -> dict[str, Any]:
    """Build all plugins into a repository in `folder`, and return its index."""
    index: dict[str, Any] = builder.build_repository(SOURCES, folder)
    return index


def install(plugin_id: str, repository: Path, index: Mapping[str, Any], plugins_folder: Path) -> LoadedPlugin:
    """Unpack a plugin's archive below `plugins_folder`, and load it."""
    with tarfile.open(repository / index[plugin_id]["filename"]) as archive:
        archive.extractall(plugins_folder)
    return load_plugin(plugins_folder / plugin_id)
