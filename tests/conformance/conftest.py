"""Fixtures: each test runs for every official plugin, and if it asks for them, for each model and raw config."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provd.model.raw_config import prepare_raw_config
from provd.plugins.loader import LoadedPlugin
from provd.plugins.models import Model
from provd.plugins.rendering import RenderedFile, render_device_files

from .official import Source, build_repository, install, official_plugins
from .raw_configs import RawConfig, raw_configs
from .syntax import Family, find_family, module_name

MAC = "00:08:5d:2e:ec:fb"

Render = Callable[..., list[RenderedFile]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Call a test for every plugin, and for every model and raw config if it names them among its arguments."""
    if "source" not in metafunc.fixturenames:
        return
    names = [name for name in ("source", "_model_name", "_config_name") if name in metafunc.fixturenames]
    rows: list[tuple[Any, ...]] = [(source,) for source in official_plugins()]
    if "_model_name" in names:
        rows = [(source, model) for (source,) in rows for model in source.models]
    if "_config_name" in names:
        rows = [(source, model, name) for source, model in rows for name in raw_configs(source.models[model])]
    ids = ["-".join([source.id, *others]) for source, *others in rows]
    metafunc.parametrize(",".join(names), rows if names[1:] else [source for (source,) in rows], ids=ids)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A repository with all official plugins: its folder and its index."""
    folder = tmp_path_factory.mktemp("repository")
    return folder, build_repository(folder)


@pytest.fixture(scope="session")
def _plugins() -> dict[str, LoadedPlugin]:
    """The plugins that are loaded already."""
    return {}


@pytest.fixture
def plugin(
    source: Source,
    repository: tuple[Path, dict[str, Any]],
    _plugins: dict[str, LoadedPlugin],
    tmp_path_factory: pytest.TempPathFactory,
) -> LoadedPlugin:
    """The plugin, unpacked and loaded; all tests share it."""
    if source.id not in _plugins:
        _plugins[source.id] = install(source.id, *repository, tmp_path_factory.mktemp("plugins"))
    return _plugins[source.id]


@pytest.fixture
def family(source: Source) -> Family:
    """What the kit knows of the plugin's family."""
    found = find_family(source.family)
    if found is None:
        pytest.fail(
            f"tests/conformance/syntax/{module_name(source.family)}.py is missing: write there how to read the files "
            f"of {source.family} phones and what the plugin claims to support (see Family in syntax/__init__.py)"
        )
    return found


@pytest.fixture
def model(plugin: LoadedPlugin, _model_name: str) -> Model:
    """One of the plugin's models."""
    return plugin.info.models[_model_name]


@pytest.fixture
def raw_config(model: Model, _config_name: str) -> RawConfig:
    """One of the raw configs, as plugins get it."""
    return prepare_raw_config(copy.deepcopy(raw_configs(model)[_config_name]))


@pytest.fixture
def render(plugin: LoadedPlugin) -> Render:
    """Render the files of a phone as the server does: the plugin gets copies, and the raw config is prepared."""

    def rendered(model_name: str | None, raw: RawConfig, mac: str = MAC) -> list[RenderedFile]:
        prepared = prepare_raw_config(raw)
        device = {"id": "d1", "mac": mac, "vendor": plugin.info.vendor, "model": model_name}
        files = plugin.code.device_files(device, copy.deepcopy(prepared))
        return render_device_files(files, plugin.templates, model_name, prepared)

    return rendered
