"""Two versions of a plugin side by side, and the documentation's three custom templates moved from one to the other."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest

from provd.model.operation import Operation
from provd.model.request import HttpRequest
from provd.plugins.custom_templates.checking import check_custom_templates
from provd.plugins.custom_templates.kinds import Kind
from provd.plugins.custom_templates.listing import list_custom_templates
from provd.plugins.custom_templates.migrate import Outcome, migrate
from provd.plugins.installer import install_archive
from provd.plugins.loader import load_plugin
from provd.plugins.repository import Repository
from tests.integration.clients import config_name, http_get, user_agent
from tests.integration.server import AASTRA, RunningServer, wait_until
from tests.unit.provisioning.house import House

OLD = "xivo-aastra-3.2.2.1136"
FIRMWARE = {OLD: "3.2.2.1136", AASTRA: "3.3.1.4365"}
PHONES = {"00:08:5d:00:00:01": "6730i", "00:08:5d:00:00:02": "6731i", "00:08:5d:2e:ec:fb": "6731i"}
CUSTOM = {"base.tpl", "6731i.tpl", "00085D2EECFB.cfg.tpl"}


@pytest.fixture
def server(start_server: Callable[..., RunningServer]) -> RunningServer:
    """A server with both plugins."""
    return start_server(plugins=(AASTRA, OLD))


def boot(server: RunningServer, firmware: str) -> list[str]:
    """What each phone gets when it asks with some firmware."""
    texts = []
    for number, (mac, model) in enumerate(PHONES.items()):
        agent, source = user_agent(mac, model, firmware), f"127.0.0.{10 + number}"
        answer = http_get(server.http_port, f"/Aastra/{config_name(mac)}", agent=agent, source=source)
        texts.append(answer.body.decode())
    return texts


def marks(texts: list[str]) -> list[set[str]]:
    """Which of the custom settings each phone is told."""
    return [{line for line in text.splitlines() if line.startswith("x ")} for text in texts]


def reload(server: RunningServer) -> None:
    """Have the server look for changed templates, and wait until all files were made anew."""
    offset = len(server.log())
    server.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "templates looked at" in server.log()[offset:], 10, "the end of the reload")
    wait_until(lambda: not server.status()["store"]["unchecked_devices"], 10, "the end of the work")


def customise(folder: Path) -> None:
    """The documentation's three steps: for every device, for a model, for one device."""
    shutil.copy(folder / "templates/base.tpl", folder / "var/templates")
    shutil.copy(folder / "templates/6731i.tpl", folder / "var/templates")
    shutil.copy(folder / "templates/6731i.tpl", folder / "var/templates/00085D2EECFB.cfg.tpl")
    append(folder / "var/templates/base.tpl", "x all: 1\n")
    append(folder / "var/templates/6731i.tpl", "{% block local %}x model: 1\n{% endblock %}")
    append(folder / "var/templates/00085D2EECFB.cfg.tpl", "{% block local %}x phone: 1\n{% endblock %}")


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


CUSTOMISED = [{"x all: 1"}, {"x all: 1", "x model: 1"}, {"x all: 1", "x phone: 1"}]


def test_the_three_custom_templates_move_with_the_phones_from_the_old_plugin_to_the_new_one(
    server: RunningServer,
) -> None:
    old, new = server.plugin_folder(OLD), server.plugin_folder()
    assert marks(boot(server, FIRMWARE[OLD])) == [set(), set(), set()]
    assert {device["plugin"] for device in server.devices()} == {OLD}, "it is made for just that firmware"

    customise(old)
    reload(server)
    assert marks(boot(server, FIRMWARE[OLD])) == CUSTOMISED
    assert {"var/.custom-templates.json"} == {
        path.relative_to(old).as_posix() for path in (old / "var").iterdir() if path.is_file()
    }
    plugin = load_plugin(old)
    kinds = {each.path: (each.kind, each.origin and each.origin.original) for each in list_custom_templates(plugin)}
    assert kinds == {
        "base.tpl": (Kind.BASE, "base.tpl"),
        "6731i.tpl": (Kind.MODEL, "6731i.tpl"),
        "00085D2EECFB.cfg.tpl": (Kind.DEVICE, "6731i.tpl"),
    }
    assert check_custom_templates(plugin) == []

    assert {each.outcome for each in migrate(old, new, dry_run=True)} == {Outcome.COPIED}
    assert not list((new / "var/templates").iterdir())
    report = migrate(old, new)
    assert {each.path for each in report} == {path.name for path in (new / "var/templates").iterdir()} == CUSTOM
    assert {(each.outcome, each.original_diff, each.unknown_model) for each in report} == {(Outcome.COPIED, "", False)}
    assert check_custom_templates(load_plugin(new)) == []

    reload(server)
    assert marks(boot(server, FIRMWARE[OLD])) == CUSTOMISED, "the phones' own plugin is the old one still"


def test_phones_with_the_new_firmware_get_the_migrated_templates(server: RunningServer) -> None:
    customise(server.plugin_folder(OLD))
    migrate(server.plugin_folder(OLD), server.plugin_folder())
    assert marks(boot(server, FIRMWARE[AASTRA])) == CUSTOMISED
    assert {device["plugin"] for device in server.devices()} == {AASTRA}


def test_templates_of_one_plugin_are_not_the_others(server: RunningServer) -> None:
    customise(server.plugin_folder(OLD))
    assert marks(boot(server, FIRMWARE[AASTRA])) == [set(), set(), set()]


# --- all phones change over


@pytest.fixture
def house(tmp_path: Path, repository: Path) -> Iterator[House]:
    """An application with both plugins, whose phones have booted and whose templates are customised and migrated."""
    (tmp_path / "plugins").mkdir()
    for plugin in (OLD, AASTRA):
        install_archive(plugin, Repository(str(repository)).archive(plugin), tmp_path / "plugins")
    house = House(tmp_path)
    assert marks(ask_all(house)) == [set(), set(), set()]
    customise(tmp_path / "plugins" / OLD)
    templates = house.app.custom_templates
    assert {each.outcome for each in templates.migrate(OLD, AASTRA)} == {Outcome.COPIED}
    assert templates.check(AASTRA) == []
    house.app.doubts.check_plugins()
    house.wait_for_recheck()
    yield house
    house.close()


def ask_all(house: House) -> list[str]:
    """What each phone gets, still with the old firmware."""
    texts = []
    for number, (mac, model) in enumerate(PHONES.items()):
        headers = {"user-agent": user_agent(mac, model, FIRMWARE[OLD])}
        answer = house.ask(HttpRequest(f"192.0.2.{10 + number}", f"Aastra/{config_name(mac)}", headers=headers))
        assert isinstance(answer, bytes)
        texts.append(answer.decode())
    return texts


def plugins_of(house: House) -> set[str]:
    return {device["plugin"] for device in house.devices.documents()}


def test_all_phones_change_from_the_old_plugin_to_the_new_one_and_back_and_are_served_all_the_time(
    house: House,
) -> None:
    answers: list[list[str]] = []

    def keep_asking() -> None:
        while True:
            answers.append(ask_all(house))
            gevent.sleep(0)

    phones, mass = gevent.spawn(keep_asking), house.app.mass
    try:
        tried = mass.change_plugin(OLD, AASTRA, Operation(), dry_run=True)
        assert (len(tried.changed), tried.failed, plugins_of(house)) == (3, {}, {OLD})
        moved = mass.change_plugin(OLD, AASTRA, Operation())
        assert (len(moved.changed), moved.failed, plugins_of(house)) == (3, {}, {AASTRA})
        assert not list(house.root(OLD).rglob("00085D*.cfg")), "no secret is left with the old plugin"
        back = mass.undo(str(moved.change_id), Operation())
        assert (len(back.changed), back.failed, plugins_of(house)) == (3, {}, {OLD})
        again = mass.change_plugin(OLD, AASTRA, Operation())
        assert (len(again.changed), again.failed, plugins_of(house)) == (3, {}, {AASTRA})
        before_the_end = len(answers)
    finally:
        phones.kill()
    assert phones.exception is None, "a phone got no file"
    assert before_the_end > 10, "they asked all the time"
    assert all(marks(texts) == CUSTOMISED for texts in answers)
