"""Plugins come, change and go, from a real HTTP server, and whatever goes wrong, phones get their files."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from plugins.builder import pack
from provd.model.operation import Operation, State
from provd.plugins.downloads import HttpDownloader
from provd.plugins.info import read_plugin_info
from provd.plugins.installer import install_archive
from provd.plugins.loader import load_plugin
from provd.plugins.repository import Cache, Repository
from provd.plugins.shipped import read_manifest, sum_of
from provd.provisioning.plugins import PluginSource
from tests.integration.clients import http_get
from tests.integration.plugin_worker import NEW, OLD, UNUSED, VERSIONS
from tests.integration.server import RunningServer, wait_until
from tests.unit.plugins.sample import ENTRY, INFO, write
from tests.unit.plugins.web_server import http_server, send, serving
from tests.unit.provisioning.house import House, phone

PHONES = 24
ROUNDS = 10
CUSTOM_PHONE = 7
SETTINGS = '[general]\nexternal_ip = "127.0.0.1"\n'

# --- the plugins


def archive(plugin_id: str, version: str, files: dict[str, str] | None = None) -> bytes:
    """A plugin whose files all say which version they are of; its phones' files say so too."""
    vendor = "Other" if plugin_id == UNUSED else "Sample"
    texts = {
        "plugin-info": json.dumps({**INFO, "version": version, "vendor": vendor}),
        "entry.py": ENTRY.replace("Sample", vendor),
        "templates/base.tpl": f"{plugin_id} {version} {{{{ XX_mac }}}}\n",
        f"only-{version}.py": "",
        **{f"var/tftpboot/static/{number}.cfg": version for number in range(30)},
        **(files or {}),
    }
    return pack(plugin_id, {path: text.encode() for path, text in texts.items()})


def entry(name: str, version: str, content: bytes) -> dict[str, Any]:
    """What the index says of an archive."""
    return {"filename": name, "version": version, "description": "Phones.", "capabilities": {}, "dsize": len(content),
            "sha256sum": hashlib.sha256(content).hexdigest()}  # fmt: skip


def shelf(plugins: dict[str, bytes], version: str, folder: str = "") -> dict[str, bytes]:
    """What a web server has to have, by path: an index and the archives."""
    names = {plugin_id: f"{plugin_id}-{version}.tar.bz2" for plugin_id in plugins}
    index = {each: entry(names[each], version, content) for each, content in plugins.items()}
    return {f"{folder}/plugins.db": json.dumps(index).encode(),
            **{f"{folder}/{names[each]}": content for each, content in plugins.items()}}  # fmt: skip


# --- kills


def mac(number: int) -> str:
    return f"00:08:5d:00:00:{number:02x}"


def own_file(number: int) -> str:
    return f"Sample/{mac(number).replace(':', '').upper()}.cfg"


class Site:
    """A state folder with two plugins, phones, custom templates and firmware; a server or a worker is at it."""

    def __init__(self, state: Path, start_server: Callable[..., RunningServer], url: str) -> None:
        self.folder = state / "lib"
        self.plugins_folder = self.folder / "plugins"
        self.plugins_folder.mkdir(parents=True)
        for plugin_id in (OLD, NEW):
            folder = install_archive(plugin_id, archive(plugin_id, "1.0"), self.plugins_folder)
            write(folder / "var/templates" / f"{Path(own_file(CUSTOM_PHONE)).name}.tpl", f"mine {plugin_id}")
            write(folder / "var/tftpboot/Sample/firmware.bin", "firmware")
        self.server = start_server(plugins=(), settings=SETTINGS)
        self._url = url
        for number in range(PHONES):
            assert self.file_of(number)
        assert self.server.stop() == 0

    def file_of(self, number: int) -> str:
        """What a phone gets."""
        agent, source = f"Sample S100 {mac(number)} 1.0", f"127.0.0.{10 + number}"
        answer = http_get(self.server.http_port, f"/{own_file(number)}", agent=agent, source=source)
        assert answer.status == 200, (number, answer.status)
        return answer.body.decode()

    def worker(self, what: str, output: Any) -> subprocess.Popen[bytes]:
        """A process of `plugin_worker`."""
        command = [
            sys.executable, "-m", "gevent.monkey", "--module", "tests.integration.plugin_worker",
            self.server.state / "settings.toml", self.folder, self._url,
            self.server.http_port, self.server.tftp_port, what,
        ]  # fmt: skip
        return subprocess.Popen([str(part) for part in command], stdout=output, cwd=Path(__file__).parents[2])

    def kill_a_worker(self, seed: int, after_s: float) -> list[str]:
        """Kill a worker at some moment after it has begun; returns what it had begun to do."""
        said = self.server.state / "said"
        with said.open("wb") as output, self.worker(str(seed), output) as worker:
            try:
                wait_until(lambda: b"begin\n" in said.read_bytes() or worker.poll() is not None, 20, "the worker")
                worker.wait(after_s)
            except subprocess.TimeoutExpired:
                pass
            finally:
                worker.kill()
        assert worker.returncode == -9, "it ended by itself"
        return said.read_text().split()[1:]

    def finish(self) -> dict[str, Any]:
        """Have a worker undo and repeat the last change of the devices' plugins."""
        with self.worker("finish", subprocess.PIPE) as worker:
            output, _ = worker.communicate(timeout=60)
        assert worker.returncode == 0
        report: dict[str, Any] = json.loads(output.splitlines()[-1])
        return report

    @contextmanager
    def served(self) -> Iterator[None]:
        """The real server runs on what the worker left, and has looked at all files."""
        self.server.start()
        wait_until(lambda: not self.server.status()["store"]["unchecked_devices"], 20, "the check of all files")
        yield
        assert self.server.stop() == 0

    def check(self) -> None:
        """Plugins, devices, files, templates and firmware are whole, and fit each other."""
        names = {path.name for path in self.plugins_folder.iterdir() if path.is_dir()}
        assert {OLD, NEW} <= names <= {OLD, NEW, UNUSED}, "no staging folder is left"
        assert not list(self.folder.rglob(".provd-*"))
        versions = {name: assert_whole(self.plugins_folder / name) for name in names}
        devices = {device["mac"]: device for device in self.server.devices()}
        assert len(devices) == len(self.server.devices()) == PHONES
        for number in range(PHONES):
            device = devices[mac(number)]
            plugin = device["plugin"]
            assert (plugin in (OLD, NEW), device["configured"]) == (True, True)
            text = f"mine {plugin}" if number == CUSTOM_PHONE else f"{plugin} {versions[plugin]} {mac(number)}"
            assert self.file_of(number) == text
            other = self.plugins_folder / (OLD if plugin == NEW else NEW) / "var/tftpboot"
            assert not (other / own_file(number)).exists(), "one file, with the plugin that the device has"
        for plugin in (OLD, NEW):
            folder = self.plugins_folder / plugin / "var"
            assert [path.read_text() for path in (folder / "templates").iterdir()] == [f"mine {plugin}"]
            assert (folder / "tftpboot/Sample/firmware.bin").read_text() == "firmware"


def assert_whole(folder: Path) -> str:
    """Each file that came with the plugin's version is there, and none of the other one; returns the version."""
    version = read_plugin_info(folder).version
    assert all(sum_of(folder / path) == each for path, each in read_manifest(folder).items())
    assert [path.name for path in folder.glob("only-*")] == [f"only-{version}.py"]
    assert {path.read_text() for path in (folder / "var/tftpboot/static").iterdir()} == {version}
    load_plugin(folder)
    return version


@pytest.fixture
def site(tmp_path: Path, start_server: Callable[..., RunningServer]) -> Iterator[Site]:
    files: dict[str, bytes] = {}
    for version in VERSIONS:
        plugins = {plugin_id: archive(plugin_id, version) for plugin_id in (OLD, NEW, UNUSED)}
        files.update(shelf(plugins, version, f"/{version}"))
    with http_server(serving(files)) as url:
        yield Site(tmp_path / "server0", start_server, url)


def test_a_kill_at_any_moment_leaves_whole_plugins_and_each_phone_its_file(site: Site) -> None:
    chance = random.Random(31)
    begun: list[str] = []
    for number in range(ROUNDS):
        begun += site.kill_a_worker(number, chance.uniform(0.0, 0.5))
        with site.served():
            site.check()
    assert set(begun) == {"upgrade", "come_and_go", "move", "reconfigure"}, Counter(begun)
    report = site.finish()
    assert (report["failed"], report["still_changed"]) == ({}, [])
    assert report["after_repeating"] == [report["change"]["to"]]
    with site.served():
        site.check()


# --- bad repositories


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An application with the old plugin and a phone."""
    (tmp_path / "plugins").mkdir()
    install_archive(OLD, archive(OLD, "1.0"), tmp_path / "plugins")
    house = House(tmp_path)
    house.close()
    yield house
    house.close()


def open_with(house: House, url: str) -> None:
    """Open the application with a repository, which it has looked at."""
    repository = Repository(url, plugins_folder=house.plugins_folder, cache=Cache(house.folder / "cache"))
    house.open(plugin_source=PluginSource(lambda: repository, HttpDownloader, house.folder / "backups"))
    assert house.ask(phone()) == f"{OLD} 1.0 00:08:5d:00:00:01".encode()
    house.app.plugins.update(Operation())


def failure(house: House, plugin_id: str) -> str:
    """Why a plugin cannot be installed or upgraded, which leaves everything as it was."""
    before = sorted(path for path in house.plugins_folder.rglob("*"))
    operation = changed(house, plugin_id)
    assert operation.state is State.FAIL
    assert sorted(path for path in house.plugins_folder.rglob("*")) == before
    assert house.app.plugins.installed()[OLD]["version"] == "1.0"
    assert house.app.plugins.reload(OLD) == {"changed": 1, "failed": {}}, "the old version runs on"
    assert house.ask(phone()) == f"{OLD} 1.0 00:08:5d:00:00:01".encode()
    return str(operation.error)


def changed(house: House, plugin_id: str) -> Operation:
    """The operation of installing or upgrading a plugin, when it has ended."""
    verb = house.app.plugins.upgrade if plugin_id in house.host.installed else house.app.plugins.install
    operation_id = house.app.operations.start(Operation("install"), lambda operation: verb(plugin_id, operation))
    operation = house.app.operations.wait(operation_id, 30)
    assert operation.is_ended
    return operation


def hostile(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[str], bytes]:
    """An archive with a member that must not be there."""

    def make(plugin_id: str) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:bz2") as tar:
            with tarfile.open(fileobj=io.BytesIO(archive(plugin_id, "1.1"))) as good:
                for member in good:
                    tar.addfile(member, good.extractfile(member))
            info = tarfile.TarInfo(name.replace("PLUGIN", plugin_id))
            info.type, info.linkname = kind, "/etc/passwd" if kind != tarfile.REGTYPE else ""
            tar.addfile(info)
        return buffer.getvalue()

    return make


BAD_ARCHIVES: dict[str, tuple[Callable[[str], bytes], str]] = {
    "truncated": (lambda plugin_id: archive(plugin_id, "1.1")[:-200], "damaged"),
    "no archive": (lambda _: b"<html>Please log in</html>", "archive is damaged"),
    "a way out": (hostile("PLUGIN/../../evil.py"), r"\.\."),
    "an absolute path": (hostile("/tmp/evil.py"), "/tmp/evil.py"),
    "a link": (hostile("PLUGIN/link", tarfile.SYMTYPE), "link"),
    "another plugin": (lambda _: archive("xivo-evil-1", "1.1"), "xivo-evil-1"),
}


@pytest.mark.parametrize("plugin_id", [OLD, UNUSED], ids=["upgrade", "install"])
@pytest.mark.parametrize("kind", BAD_ARCHIVES)
def test_a_bad_archive_changes_nothing_and_the_operation_says_why(house: House, plugin_id: str, kind: str) -> None:
    make, reason = BAD_ARCHIVES[kind]
    with http_server(serving(shelf({plugin_id: make(plugin_id)}, "1.1"))) as url:
        open_with(house, url)
        error = failure(house, plugin_id)
    assert re.search(reason, error), error


@pytest.mark.parametrize("plugin_id", [OLD, UNUSED], ids=["upgrade", "install"])
def test_an_archive_with_another_sum_is_not_used(house: House, plugin_id: str) -> None:
    files = shelf({plugin_id: archive(plugin_id, "1.1")}, "1.1")
    files[f"/{plugin_id}-1.1.tar.bz2"] = archive(plugin_id, "1.1", {"extra.py": "evil"})
    with http_server(serving(files)) as url:
        open_with(house, url)
        error = failure(house, plugin_id)
    assert f"{plugin_id}-1.1.tar.bz2" in error
    assert "general.plugin_server" in error


class Breaking:
    """Answers with half of the archive and breaks off, as often as it is told to; then it goes on where that was."""

    def __init__(self, files: dict[str, bytes], times: int) -> None:
        self._files = files
        self._times = times
        self.ranges: list[str | None] = []

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        body = self._files[handler.path]
        if handler.path.endswith(".db"):
            send(handler, body)
            return
        wanted = handler.headers.get("Range")
        self.ranges.append(wanted)
        if len(self.ranges) <= self._times:
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.send_header("ETag", '"1"')
            handler.end_headers()
            handler.wfile.write(body[: len(body) // 2])
            return
        begin = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        span = f"bytes {begin}-{len(body) - 1}/{len(body)}"
        send(handler, body[begin:], 206 if wanted else 200, Content_Range=span, ETag='"1"')


@pytest.mark.parametrize("plugin_id", [OLD, UNUSED], ids=["upgrade", "install"])
def test_a_download_that_breaks_off_again_and_again_changes_nothing_and_the_next_one_goes_on(
    house: House, plugin_id: str
) -> None:
    server = Breaking(shelf({plugin_id: archive(plugin_id, "1.1")}, "1.1"), times=2)
    with http_server(server) as url:
        open_with(house, url)
        assert "breaks off after" in failure(house, plugin_id)
        operation = changed(house, plugin_id)
    assert (operation.error, house.app.plugins.installed()[plugin_id]["version"]) == (None, "1.1")
    assert server.ranges[0] is None
    assert server.ranges[-1] is not None, "what was fetched is not fetched again"


def test_a_version_whose_code_does_not_load_is_not_upgraded_to(house: House) -> None:
    with http_server(serving(shelf({OLD: archive(OLD, "1.1", {"entry.py": "1/0"})}, "1.1"))) as url:
        open_with(house, url)
        assert "ZeroDivisionError" in failure(house, OLD)


@pytest.mark.parametrize("plugin_id", [OLD, UNUSED], ids=["upgrade", "install"])
def test_waiting_for_a_slow_server_can_be_cancelled(house: House, plugin_id: str) -> None:
    files = shelf({plugin_id: archive(plugin_id, "1.1")}, "1.1")
    asked, enough = threading.Event(), threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        body = files[handler.path]
        if handler.path.endswith(".db"):
            send(handler, body)
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for each in body:
            handler.wfile.write(bytes([each]))
            asked.set()
            if enough.wait(0.05):
                return

    def cancel() -> None:
        asked.wait(10)
        operations[0].cancel()

    operations: list[Operation] = []
    with http_server(trickle) as url:
        open_with(house, url)
        begin = house.app.operations.start

        def start(operation: Operation, work: Callable[[Operation], Any]) -> str:
            operations.append(operation)
            canceller.start()
            return begin(operation, work)

        canceller = threading.Thread(target=cancel)
        house.app.operations.start = start  # type: ignore[method-assign]
        try:
            assert "cancelled" in failure(house, plugin_id)
        finally:
            enough.set()
            canceller.join(10)
