"""The tools for custom templates, with the devices and configs that they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from provd.errors import NotFoundError, PluginError
from provd.plugins.custom_templates.preview import State

from ..plugins.sample import PLUGIN_ID, write, write_plugin
from .house import MAC, OTHER_MAC, OTHERS, OWN, House, own_config, phone

NEW_ID = "xivo-sample-2.0"
DEVICE = {"id": "d", "mac": MAC, "model": "S100", "plugin": PLUGIN_ID, "config": "c"}
CUSTOM = "var/templates"


@pytest.fixture
def tools(house: House) -> House:
    """A house with a phone that is configured."""
    house.app.configs.add(own_config("c"))
    house.app.devices.add(DEVICE)
    return house


def customise(house: House, name: str, text: str) -> Path:
    return write(house.plugins_folder / PLUGIN_ID / CUSTOM / name, text)


def test_a_template_that_is_put_down_counts_from_the_next_time_that_the_device_is_configured(tools: House) -> None:
    tools.ask(phone())  # (which says its version, so its files are made anew)
    before = tools.files()[OWN]
    for name, text in (("S100.tpl", "for the model"), ("00085D000001.cfg.tpl", "for the phone")):
        added = customise(tools, name, text)
        assert tools.ask(phone()) == before.encode(), "a request makes nothing anew"
        assert tools.app.configurer.configure("d") is None
        before = tools.files()[OWN]
        assert before == text
        customise(tools, name, f"{text}, changed")
        tools.app.configurer.configure("d")
        before = tools.files()[OWN]
        assert before == f"{text}, changed"
    added.unlink()
    tools.app.configurer.configure("d")
    assert tools.files()[OWN] == "for the model, changed"


def test_a_preview_shows_what_configuring_would_make_and_makes_nothing(tools: House) -> None:
    before = tools.files()
    (same,) = tools.app.custom_templates.preview("d")
    assert (same.path, same.state) == (OWN, State.SAME)
    customise(tools, "S100.tpl", "user={{ sip_lines['1'].username }}\npw={{ sip_lines['1'].password }}\n")
    (changed,) = tools.app.custom_templates.preview("d", show_secrets=True)
    assert (changed.state, changed.text) == (State.CHANGED, "user=u1\npw=p1")
    assert tools.app.custom_templates.preview("d")[0].text == "user=u1\npw=********"
    (uploaded,) = tools.app.custom_templates.preview("d", {"S100.tpl": "uploaded"})
    assert uploaded.text == "uploaded"
    assert tools.files() == before
    tools.app.configurer.configure("d")
    assert tools.files() == {OWN: changed.text}


def test_why_a_device_has_no_preview_is_told(tools: House) -> None:
    preview = tools.app.custom_templates.preview
    with pytest.raises(NotFoundError, match="there is no device 'x'"):
        preview("x")
    tools.app.devices.add({"id": "e", "mac": MAC, "plugin": PLUGIN_ID, "config": "c"})
    with pytest.raises(PluginError, match="another device has the same mac"):
        preview("e")
    tools.app.devices.add({"id": "f", "mac": OTHER_MAC, "plugin": PLUGIN_ID})
    with pytest.raises(PluginError, match="no plugin or no config"):
        preview("f")
    tools.app.devices.add({"id": "g", "plugin": PLUGIN_ID, "config": "none"})
    with pytest.raises(PluginError, match="the config 'none' does not exist"):
        preview("g")
    tools.app.devices.add({"id": "h", "plugin": "xivo-nothing-1", "config": "c"})
    with pytest.raises(NotFoundError, match="the plugin xivo-nothing-1 is not installed"):
        preview("h")


def test_a_plugin_that_does_not_load_is_told(tools: House) -> None:
    write(tools.plugins_folder / PLUGIN_ID / "entry.py", "1 / 0")
    tools.host.load(tools.plugins_folder / PLUGIN_ID, {})
    with pytest.raises(PluginError, match=f"the plugin {PLUGIN_ID} does not load: "):
        tools.app.custom_templates.of_plugin(PLUGIN_ID)


def test_the_list_knows_the_models_of_phones(tools: House) -> None:
    write(tools.plugins_folder / PLUGIN_ID / "templates/S100.tpl", "shipped S100")
    customise(tools, "00085D000001.cfg.tpl", "mine")
    customise(tools, "00085D000002.cfg.tpl", "mine")
    origins = [each.origin.original for each in tools.app.custom_templates.of_plugin(PLUGIN_ID) if each.origin]
    assert origins == ["S100.tpl", "base.tpl"]


def test_a_check_knows_the_keys_of_all_configs(tools: House) -> None:
    customise(tools, "S100.tpl", "{{ X_floor }}{{ X_unheard_of }}")
    tools.app.configs.add({"id": "k", "parent_ids": [], "raw_config": {"X_floor": 3}})
    (finding,) = tools.app.custom_templates.check(PLUGIN_ID)
    assert finding.message.startswith("X_unheard_of: ")
    assert tools.app.custom_templates.check(PLUGIN_ID, {"S100.tpl": "{{ X_floor }}"}) == []


def test_templates_are_migrated_and_differences_accepted(tools: House) -> None:
    folder = write_plugin(tools.plugins_folder, NEW_ID, files={"templates/base.tpl": "new base"})
    tools.host.load(folder, {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69})
    customise(tools, "base.tpl", "mine")
    verbs = tools.app.custom_templates
    assert [each.outcome for each in verbs.migrate(PLUGIN_ID, NEW_ID, dry_run=True)] == ["copied"]
    assert not (folder / CUSTOM / "base.tpl").exists()
    assert verbs.migrate(PLUGIN_ID, NEW_ID)[0].original_diff
    assert (folder / CUSTOM / "base.tpl").read_text() == "mine"
    assert [each.path for each in verbs.changed_originals(NEW_ID)] == ["base.tpl"]
    verbs.accept_originals(NEW_ID, ["base.tpl"])
    assert verbs.changed_originals(NEW_ID) == []
    assert OTHERS not in tools.files()


def test_a_reload_notes_what_new_templates_are_made_from(tools: House) -> None:
    customise(tools, "base.tpl", "mine")
    tools.app.doubts.check_plugins()
    tools.wait_for_recheck()
    write(tools.plugins_folder / PLUGIN_ID / "templates/base.tpl", "upgraded")
    assert [each.path for each in tools.app.custom_templates.changed_originals(PLUGIN_ID)] == ["base.tpl"]
