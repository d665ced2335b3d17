"""All official plugins side by side: which one a phone gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provd.identify.associate import best_plugin
from provd.model.identity import Identity
from provd.plugins.host import PluginHost

from .corpus import identify, samples
from .official import install, official_plugins
from .raw_configs import SERVER

CORPUS_CHOICES = {
    "xivo-aastra-3.2.2.1136": {"3.2.2.1136"},
    "xivo-aastra-3.3.1-SP2": {
        None, "2.0.1.1055-0035-00-A1", "2.1.0.2145", "2.1.2.30", "2.4.0.96", "2.6.0.1008", "2.6.0.2010", "3.0.1.2024",
        "3.2.0.1011", "3.2.0.70", "3.2.2.6038", "3.3.1.4305", "3.3.1.4365", "6.4.0.140", "6.4.0.4006",
    },
}  # fmt: skip
"""The versions of the corpus's phones, by the plugin that they get when all of the family's are installed."""


@pytest.fixture(scope="module")
def host(repository: tuple[Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> PluginHost:
    """All official plugins, installed beside each other."""
    folder = tmp_path_factory.mktemp("all")
    for source in official_plugins():
        install(source.id, *repository, folder)
    host = PluginHost(folder)
    host.load_all(SERVER)
    return host


def choice(host: PluginHost, identity: Identity) -> str | None:
    return best_plugin(host.support(identity))


def test_the_plugin_that_is_made_for_the_firmware_of_a_phone_gets_it(host: PluginHost) -> None:
    for source in official_plugins():
        for model in source.models.values():
            assert choice(host, Identity(source.info["vendor"], model.name, model.firmware)) == source.id


def test_phones_of_the_corpus_get_the_plugin_of_their_version(host: PluginHost) -> None:
    found: dict[str, set[str | None]] = {}
    for sample in samples():
        for source in official_plugins():
            plugin = host.get(source.id)
            identity = identify(plugin.code, sample.request) if plugin else None
            if sample.family == source.family and identity is not None:
                found.setdefault(choice(host, identity) or "none", set()).add(identity.version)
    for plugin_id, versions in CORPUS_CHOICES.items():
        assert found[plugin_id] == versions


@pytest.mark.parametrize(
    ("model", "version", "plugin_id"),
    [
        ("6731i", "3.2.2.1136", "xivo-aastra-3.2.2.1136"),
        ("6731i", "3.2.2.1135", "xivo-aastra-3.3.1-SP2"),
        ("6731i", "3.3.1.4365", "xivo-aastra-3.3.1-SP2"),
        ("6731i", "9.9.9.9999", "xivo-aastra-3.3.1-SP2"),
        ("6731i", None, "xivo-aastra-3.3.1-SP2"),
        ("6735i", "3.2.2.1136", "xivo-aastra-3.3.1-SP2"),
        ("6735i", "3.2.2.6038", "xivo-aastra-3.3.1-SP2"),
        ("6867i", "3.2.2.1136", "xivo-aastra-3.3.1-SP2"),
        (None, "3.2.2.1136", "xivo-aastra-3.3.1-SP2"),
        (None, None, "xivo-aastra-3.3.1-SP2"),
    ],
)
def test_the_firmware_decides_between_the_aastra_plugins_and_then_the_newer_one_wins(
    host: PluginHost, model: str | None, version: str | None, plugin_id: str
) -> None:
    assert choice(host, Identity("Aastra", model, version)) == plugin_id
