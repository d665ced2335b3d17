"""The installed plugins together: one that fails harms only its own phones, and is counted."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provd.errors import PluginError
from provd.model.identity import Identity, Support
from provd.model.raw_config import prepare_raw_config
from provd.model.request import DhcpLease, HttpRequest, TftpRequest
from provd.plugins.host import PluginHost

from .sample import write, write_plugin

BASE = {"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69}
LINE = {"username": "u1", "password": "p1", "display_name": "One", "proxy_ip": "192.0.2.10"}
OWN = "Sample/00085D000001.cfg"
HTTP, TFTP = HttpRequest("192.0.2.7", OWN), TftpRequest("192.0.2.7", OWN)
LEASE = DhcpLease("192.0.2.7", "00:08:5d:00:00:01", {60: b"Sample"})

ANSWERING = """
import sys

from provd.plugins.api import File, Identity, Plugin, Support


class Answering(Plugin):
    IS_PLUGIN = True

    def answer(self, *args, **kwargs):
        {answer}

    identify_http = identify_tftp = identify_dhcp = support = common_files = device_files = is_sensitive = answer
"""


def answering(answer: str) -> str:
    """The code of a plugin that answers every call with a statement."""
    return ANSWERING.format(answer=answer)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "plugins"
    write_plugin(folder)
    return folder


def load(folder: Path, raw_config: dict[str, Any] | None = None) -> PluginHost:
    host = PluginHost(folder)
    host.load_all(BASE if raw_config is None else raw_config)
    return host


def render(host: PluginHost, device: dict[str, Any] | None = None, plugin_id: str = "xivo-sample-1.0") -> bytes:
    raw = prepare_raw_config({**BASE, "sip_lines": {"1": LINE}})
    files = host.render_device(plugin_id, device or {"mac": "00:08:5d:00:00:01", "model": "S100"}, raw)
    return files[0].content


CALLS: dict[str, Callable[[PluginHost], object]] = {
    "identify_http": lambda host: host.identify(HTTP),
    "identify_tftp": lambda host: host.identify(TFTP),
    "identify_dhcp": lambda host: host.identify(LEASE),
    "support": lambda host: host.support(Identity(vendor="Sample")),
    "is_sensitive": lambda host: host.is_sensitive_for_any(OWN),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_plugin_that_raises_harms_no_other_and_is_counted(
    folder: Path, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = CALLS[call](load(folder))
    write_plugin(folder, "xivo-bad-1.0", entry=answering("raise OSError('bad')"))
    host = load(folder)
    before = host.failures["xivo-bad-1.0"]
    found = CALLS[call](host)
    if call == "support":
        assert isinstance(found, list)
        assert ("xivo-bad-1.0", Support.NONE) in found
        found.remove(("xivo-bad-1.0", Support.NONE))
    assert found == expected
    assert host.failures["xivo-bad-1.0"] == before + (
        0 if call == "is_sensitive" else 1
    )  # the first that says yes ends it
    assert "plugin fails: plugin=xivo-bad-1.0" in caplog.text


def test_a_plugin_that_fails_again_and_again_does_not_fill_the_log(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_plugin(folder, "xivo-bad-1.0", entry=answering("raise OSError('bad')"))
    host = load(folder)
    for _ in range(100):
        host.identify(HTTP)
    assert host.failures["xivo-bad-1.0"] > 100
    assert sum("plugin fails" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("answer", ["raise SystemExit", "sys.exit(3)", "exit()"])
@pytest.mark.parametrize("call", ["identify_http", "support"])
def test_a_plugin_that_ends_the_program_in_a_call_does_not(folder: Path, answer: str, call: str) -> None:
    entry = answering(answer).replace(" = common_files", "")
    write_plugin(folder, "xivo-bad-1.0", entry=entry)
    host = load(folder)
    try:
        CALLS[call](host)
    except SystemExit:
        pytest.fail("the server would have ended")
    assert host.failures["xivo-bad-1.0"]


@pytest.mark.parametrize("answer", ["return {'mac': '00:08:5d:00:00:01'}", "return 'x'", "return 0", "return (1, 2)"])
def test_an_answer_that_is_no_identity_is_a_failure_of_its_plugin(folder: Path, answer: str) -> None:
    write_plugin(folder, "xivo-bad-1.0", entry=answering(answer).replace(" = common_files", ""))
    host = load(folder)
    assert {plugin_id for plugin_id, _ in host.identify(HTTP)} == {"xivo-sample-1.0"}
    assert host.failures["xivo-bad-1.0"]


@pytest.mark.parametrize("answer", ["return 'much'", "return None", "return float('nan')", "return [600]"])
def test_a_support_that_is_no_number_counts_as_none(folder: Path, answer: str) -> None:
    write_plugin(folder, "xivo-bad-1.0", entry=answering(answer).replace(" = common_files", ""))
    assert ("xivo-bad-1.0", 0) in load(folder).support(Identity(vendor="Sample"))


def test_plugins_are_asked_from_the_newest_version_down(folder: Path) -> None:
    for plugin_id in (
        "xivo-sample-3.9",
        "xivo-sample-3.10",
        "xivo-sample-3.10-SP2",
        "xivo-sample-v86",
        "xivo-sample-v9",
    ):
        write_plugin(folder, plugin_id)
    order = [plugin_id for plugin_id, _ in load(folder).support(Identity())]
    assert order.index("xivo-sample-3.10-SP2") < order.index("xivo-sample-3.10") < order.index("xivo-sample-3.9")
    assert order.index("xivo-sample-v86") < order.index("xivo-sample-v9")


# --- loading all


def test_plugins_that_do_not_load_keep_their_reason_and_disturb_nobody(folder: Path) -> None:
    write_plugin(folder, "xivo-broken-1.0", entry="1 / 0")
    write_plugin(folder, "xivo-empty-1.0", info=None, entry=None)
    write_plugin(folder, "no id")
    write_plugin(folder, ".provd-0123456789abcdef", entry="1 / 0")
    write(folder / "plugins.db", "{}")
    host = load(folder)
    assert sorted(host.installed) == ["no id", "xivo-broken-1.0", "xivo-empty-1.0", "xivo-sample-1.0"]
    assert host.installed["xivo-broken-1.0"].error == "entry.py: ZeroDivisionError: division by zero"
    assert host.installed["xivo-sample-1.0"].error is None
    assert host.get("xivo-broken-1.0") is None
    assert host.root_of("xivo-broken-1.0") == f"{folder}/xivo-broken-1.0/var/tftpboot"
    assert host.root_of("nobody") is None
    assert render(host).startswith(b"mac=00:08:5d:00:00:01")


def test_a_plugin_with_wrong_attributes_does_not_keep_the_rest_from_loading(folder: Path) -> None:
    write_plugin(folder, "a-bad-1.0", entry=answering("return ()") + "    filters = 7\n")
    host = load(folder)
    assert host.installed["a-bad-1.0"].error
    assert host.get("xivo-sample-1.0") is not None


def test_a_plugin_that_is_loaded_again_replaces_itself(folder: Path) -> None:
    host = load(folder)
    write(folder / "xivo-sample-1.0/entry.py", "1 / 0")
    assert host.load(folder / "xivo-sample-1.0", BASE).loaded is None
    assert host.identify(HTTP) == []
    write(folder / "xivo-sample-1.0/entry.py", answering("return None"))
    host.load(folder / "xivo-sample-1.0", BASE)
    assert [plugin_id for plugin_id, _ in host.support(Identity())] == ["xivo-sample-1.0"]


# --- files


def test_common_files_are_made_when_a_plugin_loads(folder: Path) -> None:
    load(folder)
    assert (folder / "xivo-sample-1.0/var/tftpboot/Sample/common.cfg").read_text() == "server=192.0.2.10"


def test_a_plugin_whose_common_files_fail_runs_without_them_and_says_so(folder: Path) -> None:
    write_plugin(folder, "xivo-bad-1.0", entry=answering("raise KeyError('bad')"))
    host = load(folder)
    assert host.installed["xivo-bad-1.0"].error == "common_files fails: KeyError: 'bad'"
    assert host.get("xivo-bad-1.0") is not None


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (answering("raise ValueError('bad')"), "the plugin's code fails: ValueError: bad"),
        (answering("return 7"), "the plugin's code fails: TypeError: "),
        (answering("return [7]"), "the plugin's code fails: AttributeError: "),
        (answering("return [File('../x', content='')]"), "the plugin declares a file with an impossible path: '../x'"),
        (answering("return [File('x', content='é', encoding='ascii')]"), "x: 'é' cannot be written in ascii"),
        ("1 / 0", "the plugin xivo-bad-1.0 does not load: entry.py: ZeroDivisionError: division by zero"),
    ],
)
def test_why_a_device_cannot_be_rendered_is_said(folder: Path, entry: str, reason: str) -> None:
    write_plugin(folder, "xivo-bad-1.0", entry=entry)
    with pytest.raises(PluginError) as caught:
        render(load(folder), plugin_id="xivo-bad-1.0")
    assert str(caught.value).startswith(reason)


def test_a_plugins_own_refusal_is_no_failure_of_its_code(folder: Path) -> None:
    host = load(folder)
    with pytest.raises(PluginError, match=r"^the MAC address is not known$"):
        render(host, {"model": "S100"})
    assert not host.failures


def test_a_plugin_that_is_not_installed_is_named(folder: Path) -> None:
    with pytest.raises(PluginError, match=r"the plugin gone-1\.0 is not installed"):
        render(load(folder), plugin_id="gone-1.0")


@pytest.mark.parametrize("answer", ["raw_config['X_own'].clear()", "assert raw_config['sip_transport'] == 'udp'"])
def test_common_files_get_a_complete_raw_config_of_their_own(folder: Path, answer: str) -> None:
    entry = answering("return None") + f"    def common_files(self, raw_config):\n        {answer}\n        return ()\n"
    write_plugin(folder, "a-first-1.0", entry=entry)
    base = {**BASE, "X_own": {"k": "v"}}
    host = load(folder, base)
    assert host.installed["a-first-1.0"].error is None
    assert base["X_own"] == {"k": "v"}


def test_temporary_files_of_a_crash_are_removed(folder: Path) -> None:
    left = write(folder / "xivo-sample-1.0/var/tftpboot/Sample/.provd-0123456789abcdef", "password")
    half_done = write(folder / ".provd-0123456789abcdef/xivo-other-1.0/entry.py", "x")
    load(folder).remove_leftovers()
    assert not left.exists()
    assert half_done.exists(), "plugins are the business of the recovery, which may keep what it cannot finish"


def test_a_served_folder_may_be_a_link(folder: Path, tmp_path: Path) -> None:
    big = tmp_path / "big disk"
    big.mkdir()
    (folder / "xivo-sample-1.0/var").mkdir()
    (folder / "xivo-sample-1.0/var/tftpboot").symlink_to(big)
    assert load(folder).root_of("xivo-sample-1.0") == os.path.realpath(big)
    assert (big / "Sample/common.cfg").exists()


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


# --- while the server runs


def test_a_plugin_that_was_changed_is_loaded_anew(folder: Path) -> None:
    host = load(folder)
    assert host.identify(HTTP)[0][1].vendor == "Sample"
    entry = folder / "xivo-sample-1.0/entry.py"
    entry.write_text(entry.read_text().replace('Identity(vendor="Sample"', 'Identity(vendor="Changed"'))
    assert host.reload("xivo-sample-1.0", BASE) is None
    assert host.identify(HTTP)[0][1].vendor == "Changed"


def test_if_the_changed_code_does_not_load_the_old_one_goes_on(folder: Path) -> None:
    host = load(folder)
    (folder / "xivo-sample-1.0/entry.py").write_text("1/0")
    assert "ZeroDivisionError" in str(host.reload("xivo-sample-1.0", BASE))
    assert host.identify(HTTP)[0][1].vendor == "Sample"
    assert "ZeroDivisionError" in str(host.installed["xivo-sample-1.0"].error), "and the reason is shown"
    assert host.render_device("xivo-sample-1.0", {"id": "d", "mac": "00:08:5d:00:00:01"},
                              prepare_raw_config({**BASE, "sip_lines": {"1": LINE}}))  # fmt: skip


def test_a_plugin_that_came_later_is_loaded_by_reloading_it(folder: Path) -> None:
    host = load(folder)
    write_plugin(folder, "xivo-sample-2.0")
    assert host.reload("xivo-sample-2.0", BASE) is None
    assert [plugin_id for plugin_id, _ in host.identify(HTTP)] == ["xivo-sample-2.0", "xivo-sample-1.0"]


def test_a_plugin_that_is_unloaded_is_asked_no_more(folder: Path) -> None:
    host = load(folder)
    host.unload("xivo-sample-1.0")
    assert host.identify(HTTP) == []
    assert host.root_of("xivo-sample-1.0") is None
    host.unload("xivo-nothing-1")
