"""Loading a plugin's folder: `plugin-info`, then `entry.py` as a module of a private package."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from provd.errors import PluginLoadError
from provd.model.mac import normalize_mac
from provd.model.raw_config import prepare_raw_config
from provd.plugins.api import Plugin
from provd.plugins.custom_templates.unreachable import unreachable_templates
from provd.plugins.info import PluginInfo, is_plugin_id, read_plugin_info
from provd.plugins.templates import TemplateSet

log = logging.getLogger(__name__)

_PACKAGE_PREFIX = "_provd_plugin_"
_TRIAL_PREFIX = f"{_PACKAGE_PREFIX}_trial_"
"""No plugin id gives this: an underscore in one is written with its number."""


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
    plugin = _load(folder, _PACKAGE_PREFIX + _as_name(folder.name))
    _warn_of_unreachable_templates(plugin)
    return plugin


def try_plugin(folder: Path) -> None:
    """See whether the plugin in `folder` could be loaded, although one of that name may be running.

    Raises:
        PluginLoadError: see `load_plugin`.
    """
    package = _TRIAL_PREFIX + secrets.token_hex(8)
    try:
        _load(folder, package)
    finally:
        _forget(package)


def _load(folder: Path, package: str) -> LoadedPlugin:
    info = read_plugin_info(folder)
    try:
        code = _plugin_class(_import_entry(folder, package))(info)
        templates = TemplateSet(folder, escape_xml=bool(code.escape_xml), filters=dict(code.filters))
    except PluginLoadError:
        raise
    except Exception as error:  # (foreign code: a plugin that does not load harms only itself)
        raise PluginLoadError(f"entry.py: {type(error).__name__}: {error}") from error
    except SystemExit as error:
        raise PluginLoadError("entry.py: ends the program") from error
    return LoadedPlugin(folder.name, folder, info, code, templates)


def device_file_names(plugin: LoadedPlugin, mac: str) -> list[str]:
    """The names of the files that a phone with this MAC address would get; none if the plugin's code fails."""
    device = {"id": "", "mac": normalize_mac(mac), "vendor": plugin.info.vendor}
    raw_config = prepare_raw_config({"ip": "192.0.2.1", "http_port": 80, "tftp_port": 69})
    try:
        return [file.path.rpartition("/")[2] for file in plugin.code.device_files(device, raw_config)]
    except (Exception, SystemExit):  # noqa: BLE001  (foreign code, asked for a phone that is not there)
        return []


def _warn_of_unreachable_templates(plugin: LoadedPlugin) -> None:
    """Say which custom templates will never be used, which otherwise nobody notices."""
    files_of = partial(device_file_names, plugin)
    for path, reason in unreachable_templates(plugin.folder, plugin.info.models, files_of).items():
        log.warning("custom template is never used: plugin=%s template=%r reason=%r", plugin.id, path, reason)


def _as_name(plugin_id: str) -> str:
    """A plugin id as a part of a module's name, another one for each id."""
    return re.sub(r"[^A-Za-z0-9]", lambda match: f"_{ord(match[0]):x}_", plugin_id)


def _import_entry(folder: Path, package: str) -> ModuleType:
    """Import `entry` from a package that is this folder alone.

    `from .common import …` works, and two plugins, or two versions of one, never meet.
    """
    _forget(package)
    spec = importlib.util.spec_from_loader(package, loader=None, is_package=True)
    if spec is None or not (folder / "entry.py").is_file():
        raise PluginLoadError("entry.py: missing")
    module = importlib.util.module_from_spec(spec)
    module.__path__ = [str(folder)]
    sys.modules[package] = module
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
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


class _SourceLoader(SourceFileLoader):
    """Compiles a plugin's modules anew each time, and writes no `__pycache__` into the plugin's folder.

    Administrators know the layout of that folder, and a cached module may be older than a file of the same time.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Finder(MetaPathFinder):
    """Finds the modules of plugins, also those that are imported long after the plugin was loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if not package.startswith(_PACKAGE_PREFIX) or path is None:
            return None
        for folder in path:
            for file in (Path(folder, f"{name}.py"), Path(folder, name, "__init__.py")):
                if file.is_file():
                    return importlib.util.spec_from_file_location(
                        fullname,
                        file,
                        loader=_SourceLoader(fullname, str(file)),
                        submodule_search_locations=[str(file.parent)] if file.name == "__init__.py" else None,
                    )
        return None


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
