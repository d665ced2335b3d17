"""Archives, `plugin-info`, and what loading does to a plugin's folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from provd.model.raw_config import prepare_raw_config
from provd.plugins.api import Notification
from provd.plugins.info import INTERFACE_VERSION, is_plugin_id
from provd.plugins.loader import LoadedPlugin
from provd.plugins.models import Model

from .conftest import MAC, Render
from .official import Source, build_repository, install
from .raw_configs import everything

TYPES = ("ata", "conference", "deskphone", "dect", "doorphone", "gateway", "generic", "softphone")
CAPABILITIES = {
    "sip.lines": int,
    "lines": int,
    "function_keys": int,
    "expansion_modules": int,
    "high_availability": bool,
    "switchboard": bool,
    "type": str,
    "protocol": str,
}


def test_plugin_id_names_family_and_version(source: Source) -> None:
    assert is_plugin_id(source.id)
    assert source.id.startswith(f"xivo-{source.family}-")
    assert re.fullmatch(r"\d+(\.\d+)+", source.info["version"])


def test_plugin_info_describes_the_plugin(source: Source, plugin: LoadedPlugin) -> None:
    raw = plugin.info.raw
    assert plugin.info.vendor
    assert raw["plugin_iface_version_min"] <= INTERFACE_VERSION
    for key in ("description", "description_fr"):
        assert raw[key]
        assert "\n" not in raw[key]


def test_capabilities_name_vendor_model_and_firmware(source: Source, plugin: LoadedPlugin) -> None:
    expected = {f"{plugin.info.vendor}, {model.name}, {model.firmware}" for model in plugin.info.models.values()}
    assert set(plugin.info.capabilities) == expected


def test_capabilities_are_of_the_right_kind(source: Source, plugin: LoadedPlugin) -> None:
    for capabilities in plugin.info.capabilities.values():
        assert {key: type(value) for key, value in capabilities.items()} == CAPABILITIES
        assert capabilities["type"] in TYPES
        assert capabilities["protocol"] in ("sip", "sccp")


def test_model_says_what_the_phone_has(source: Source, model: Model) -> None:
    assert model.names
    assert model.firmware
    assert model.lines >= 1
    assert bool(model.modules) == bool(model.module_keys)
    assert all(block.count >= 1 for block in model.keys)


def test_no_name_means_two_models(source: Source) -> None:
    names = [name for model in source.models.values() for name in model.names]
    assert len(set(names)) == len(names)


def test_building_again_gives_the_same_bytes(repository: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    folder, _ = repository
    build_repository(tmp_path)
    assert _content(folder) == _content(tmp_path)


def test_the_index_lists_every_archive(repository: tuple[Path, dict[str, Any]]) -> None:
    folder, index = repository
    archives = {entry["filename"] for entry in index.values()}
    assert {path.name for path in folder.iterdir()} == archives | {"plugins.db", "dhcp.json"}


def test_loading_and_rendering_leave_the_folder_as_it_is(
    source: Source, repository: tuple[Path, dict[str, Any]], render: Render, tmp_path: Path
) -> None:
    fresh = install(source.id, *repository, tmp_path)
    before = _content(fresh.folder)
    model = next(iter(fresh.info.models.values()))
    raw = prepare_raw_config(everything(model))
    list(fresh.code.device_files({"id": "d1", "mac": MAC, "model": model.name}, raw))
    fresh.templates.render([f"{model.name}.tpl", "base.tpl"], _context_of_first_file(fresh, model, raw))
    assert _content(fresh.folder) == before
    assert not [path for path in fresh.folder.rglob("*") if path.name == "__pycache__"]


def test_folder_has_what_administrators_look_for(source: Source, plugin: LoadedPlugin) -> None:
    for name in ("README", "entry.py", "plugin-info", "templates"):
        assert (plugin.folder / name).exists(), name
    for name in ("cache", "installed", "templates", "tftpboot"):
        assert (plugin.folder / "var" / name).is_dir(), name


def test_resync_is_a_notification_or_nothing(source: Source, plugin: LoadedPlugin, model: Model) -> None:
    raw = prepare_raw_config(everything(model))
    for reboot in (True, False):
        notification = plugin.code.resync({"id": "d1", "mac": MAC, "model": model.name}, raw, reboot=reboot)
        assert notification is None or isinstance(notification, Notification)
        assert notification is None or notification.event


def _content(folder: Path) -> dict[str, bytes | None]:
    """All that is below a folder: files with their bytes, folders with None."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def _context_of_first_file(plugin: LoadedPlugin, model: Model, raw: dict[str, Any]) -> dict[str, Any]:
    first = next(iter(plugin.code.device_files({"id": "d1", "mac": MAC, "model": model.name}, raw)))
    return {**raw, **first.context}
