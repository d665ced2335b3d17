"""Loading a plugin's folder: `plugin-info`, then `entry.py` as a module of a private package."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from provd.errors import PluginLoadError
from provd.plugins.api import Plugin
from provd.plugins.info import PluginInfo, is_plugin_id, read_plugin_info
from provd.plugins.templates import TemplateSet

_PACKAGE_PREFIX = "_provd_plugin_"


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin that runs: its folder, its metadata, its code and its templates."""

    id: str
    folder: Path
    info: PluginInfo
    code: Plugin
    templates: TemplateSet


def load_plugin(folder: Path) -> LoadedPlugin:
    """Load the plugin in `folder`; the folder's name is the plugin's id.

    Raises:
        PluginLoadError: the folder holds no plugin that this server can run; the message says why.
    """
    if not is_plugin_id(folder.name):
        raise PluginLoadError(f"{folder.name!r} is no plugin id")
    info = read_plugin_info(folder)
    code = _instantiate(folder, info)
    templates = TemplateSet(folder, escape_xml=code.escape_xml, filters=code.filters)
    return LoadedPlugin(folder.name, folder, info, code, templates)


def _instantiate(folder: Path, info: PluginInfo) -> Plugin:
    """Import `entry.py` and make its plugin; whatever its code raises becomes a `PluginLoadError`."""
    try:
        with _no_bytecode():
            module = _import_entry(folder)
        return _plugin_class(module)(info)
    except PluginLoadError:
        raise
    except Exception as error:  # (foreign code: a plugin that does not load harms only itself)
        raise PluginLoadError(f"entry.py: {type(error).__name__}: {error}") from error
    except SystemExit as error:
        raise PluginLoadError("entry.py: ends the program") from error


def _import_entry(folder: Path) -> ModuleType:
    """Import `entry` from a package that is this folder alone.

    `from .common import …` works, and two plugins, or two versions of one, never meet.
    """
    package = _PACKAGE_PREFIX + re.sub(r"\W", lambda match: f"_{ord(match[0]):x}_", folder.name)
    _forget(package)
    spec = importlib.util.spec_from_loader(package, loader=None, is_package=True)
    if spec is None or not (folder / "entry.py").is_file():
        raise PluginLoadError("entry.py: missing")
    module = importlib.util.module_from_spec(spec)
    module.__path__ = [str(folder)]
    sys.modules[package] = module
    importlib.invalidate_caches()
    try:
        return importlib.import_module(f"{package}.entry")
    except BaseException:
        _forget(package)
        raise


def _forget(package: str) -> None:
    """Drop a package's modules, so that the next import reads the files again."""
    for name in [name for name in sys.modules if name == package or name.startswith(package + ".")]:
        del sys.modules[name]


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Write no `__pycache__` into the plugin's folder, whose layout administrators know."""
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _plugin_class(module: ModuleType) -> type[Plugin]:
    """The one class of the module that says it is the plugin."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Plugin) and value.__dict__.get("IS_PLUGIN")
    ]
    if len(found) != 1:
        raise PluginLoadError(
            f"entry.py: {len(found)} classes derive from provd.plugins.api.Plugin with IS_PLUGIN = True; one is needed"
        )
    return found[0]
