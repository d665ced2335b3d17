"""Administrators' templates, as their documentation says."""

from __future__ import annotations

import shutil

import pytest

from tests.integration.clients import config_name, http_get, user_agent
from tests.integration.server import RunningServer

PHONES = {"00:08:5d:00:00:01": "6731i", "00:08:5d:00:00:02": "6739i", "00:08:5d:2e:ec:fb": "6739i"}


class Phones:
    """Three phones; a change of their firmware makes their files anew."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.version = 0

    def files(self) -> list[str]:
        """What each phone gets after it was configured anew."""
        self.version += 1
        return [self._boot(mac, model) for mac, model in PHONES.items()]

    def _boot(self, mac: str, model: str) -> str:
        agent = user_agent(mac, model, f"3.3.1.{self.version}")
        source = f"127.0.0.{10 + list(PHONES).index(mac)}"
        return http_get(self.server.http_port, f"/Aastra/{config_name(mac)}", agent=agent, source=source).body.decode()


@pytest.fixture
def phones(server: RunningServer) -> Phones:
    phones = Phones(server)
    assert all("sip line1 user name" in text for text in phones.files())
    return phones


def test_a_template_for_every_device(phones: Phones) -> None:
    folder = phones.server.plugin_folder()
    shutil.copy(folder / "templates" / "base.tpl", folder / "var" / "templates")
    with (folder / "var" / "templates" / "base.tpl").open("a") as template:
        template.write("\ncustom for all: 1\n")
    for text in phones.files():
        assert "sip line1 user name" in text
        assert "custom for all: 1" in text
    (folder / "var" / "templates" / "base.tpl").unlink()
    assert not any("custom for all" in text for text in phones.files())


def test_a_template_for_a_model(phones: Phones) -> None:
    folder = phones.server.plugin_folder()
    shutil.copy(folder / "templates" / "6739i.tpl", folder / "var" / "templates")
    (folder / "var" / "templates" / "6739i.tpl").write_text("only 6739i: {{ sip_lines['1'].username }}")
    first, second, third = phones.files()
    assert "sip line1 user name" in first
    assert second.startswith("only 6739i: ")
    assert third.startswith("only 6739i: ")
    assert second != third


def test_a_template_for_one_device(phones: Phones) -> None:
    folder = phones.server.plugin_folder()
    shutil.copy(folder / "templates" / "6739i.tpl", folder / "var" / "templates" / "00085D2EECFB.cfg.tpl")
    with (folder / "var" / "templates" / "00085D2EECFB.cfg.tpl").open("w") as template:
        template.write('{% extends "base.tpl" %}{% block local %}# this one alone\n{% endblock %}')
    first, second, third = phones.files()
    assert "this one alone" not in first + second
    assert "this one alone" in third
    assert "sip line1 user name" in third


def test_a_template_that_fails_leaves_the_last_good_file_and_says_why_on_the_device(phones: Phones) -> None:
    good = phones.files()
    template = phones.server.plugin_folder() / "var" / "templates" / "6739i.tpl"
    template.write_text("first line\n{{ sip_lines['9'].username.upper() }}\n")
    assert phones.files() == good, "the last good files are served"
    devices = {device["mac"]: device for device in phones.server.devices()}
    assert devices["00:08:5d:00:00:01"]["configured"] is True
    broken = devices["00:08:5d:00:00:02"]
    assert broken["configured"] is False
    assert broken["configure_error"].startswith("var/templates/6739i.tpl, line 2: ")
    template.unlink()
    assert phones.files() == good
    mended = {device["mac"]: device for device in phones.server.devices()}["00:08:5d:00:00:02"]
    assert mended["configured"] is True
    assert "configure_error" not in mended
