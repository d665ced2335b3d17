"""The Aastra plugins of all versions: what they have in common, and what sets each apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provd.model.raw_config import prepare_raw_config
from provd.plugins.loader import LoadedPlugin
from provd.plugins.rendering import render_device_files
from tests.conformance.official import build_repository, install

OLD, NEW = "xivo-aastra-3.2.2.1136", "xivo-aastra-3.3.1-SP2"
MAC = "00:08:5d:2e:ec:fb"
RAW: dict[str, Any] = {
    "ip": "192.0.2.10",
    "http_port": 8667,
    "tftp_port": 69,
    "locale": "fr_FR",
    "timezone": "Europe/Paris",
    "exten_park": "700",
    "sip_lines": {
        "1": {"username": "je5qtq", "password": "s3cr3t", "display_name": "Alice Martin", "proxy_ip": "192.0.2.10"}
    },
    "funckeys": {"1": {"type": "blf", "value": "1002"}, "2": {"type": "park", "value": "701"}},
}


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedPlugin]:
    folder = tmp_path_factory.mktemp("aastra")
    index = build_repository(folder / "repository")
    return {name: install(name, folder / "repository", index, folder) for name in (OLD, NEW)}


def rendered(plugin: LoadedPlugin, model: str) -> dict[str, str]:
    prepared = prepare_raw_config(RAW)
    files = plugin.code.device_files({"mac": MAC, "model": model}, prepared)
    return {file.path: file.content.decode() for file in render_device_files(files, plugin.templates, model, prepared)}


def test_3_2_2_1136_is_made_for_all_models_of_that_release(plugins: dict[str, LoadedPlugin]) -> None:
    models = plugins[OLD].info.models
    assert set(plugins[NEW].info.models) - set(models) == {"6735i", "6737i"}
    assert {model.firmware for model in models.values()} == {"3.2.2.1136"}


def test_phones_of_both_are_told_the_same(plugins: dict[str, LoadedPlugin]) -> None:
    for model in plugins[OLD].info.models:
        files = rendered(plugins[OLD], model)
        assert files == rendered(plugins[NEW], model)
        assert "sip line1 park pickup config: 701;701;asterisk\n" in files["Aastra/00085D2EECFB.cfg"]
        assert "language 1: i18n/lang_fr.txt\n" in files["Aastra/00085D2EECFB.cfg"]


@pytest.mark.parametrize("plugin_id", [OLD, NEW])
def test_each_readme_says_which_plugin_it_is_of_and_what_holds_for_all(
    plugins: dict[str, LoadedPlugin], plugin_id: str
) -> None:
    readme = (plugins[plugin_id].folder / "README").read_text(encoding="utf-8")
    assert readme.startswith(f"{plugin_id}: ")
    assert readme.count("\nSupported phones\n") == readme.count("\nCustom templates\n") == 1


@pytest.mark.parametrize("plugin_id", [OLD, NEW])
def test_both_have_the_same_folder(plugins: dict[str, LoadedPlugin], plugin_id: str) -> None:
    shipped = _tree(plugins[plugin_id].folder)
    assert shipped == _tree(plugins[NEW].folder)
    assert "var/tftpboot/Aastra/aastra.cfg" in shipped


def _tree(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
