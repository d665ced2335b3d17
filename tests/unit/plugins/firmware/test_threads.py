"""Several operations at once, and the hub that serves phones meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from provd.errors import PackageConflictError, ProvdError
from provd.model.operation import Operation
from provd.plugins.firmware.manager import PackageManager

from .sample import SITE, Plugin, zip_of


def test_packages_that_share_a_file_and_a_dependency_at_once(plugin: Plugin) -> None:
    plugin.offer_files("base", {"base": b"b"})
    for number in range(6):
        plugin.offer_files(f"p{number}", {f"{number}/x": b"x" * 10_000, "shared": b"s"}, more="depends: base")
    plugin.install("base")
    errors: list[str] = []

    def work(number: int) -> None:
        try:
            plugin.manager.install(f"p{number}", Operation())
        except ProvdError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(plugin.manager.installed()) == 7
    assert len(plugin.tree()) == 8
    for number in range(6):
        plugin.manager.uninstall(f"p{number}")
    assert plugin.tree() == {"base": b"b"}


def test_one_package_is_installed_once_at_a_time(plugin: Plugin) -> None:
    plugin.offer_files("fw", {"x": b"x"})
    go, begun, errors = threading.Event(), threading.Event(), []
    download = plugin.vendor.download

    def slow(*arguments: object) -> None:
        begun.set()
        go.wait(10)
        download(*arguments)  # type: ignore[arg-type]

    plugin.vendor.download = slow  # type: ignore[method-assign, assignment]
    thread = threading.Thread(target=plugin.install, args=("fw",))
    thread.start()
    begun.wait(10)
    for act in (plugin.manager.install, plugin.manager.upgrade):
        try:
            act("fw", Operation())
        except ProvdError as error:
            errors.append((error.http_status, str(error)))
    go.set()
    thread.join()
    assert errors == [(409, "an install operation for pkg fw is already in progress")] * 2
    assert plugin.tree() == {"x": b"x"}


def test_the_plugin_itself_is_changed_while_no_package_is(plugin: Plugin) -> None:
    plugin.offer_files("fw", {"x": b"x"})
    with plugin.manager.held():
        for act in (plugin.manager.held().__enter__, lambda: plugin.install("fw")):
            with pytest.raises(PackageConflictError, match="is being"):
                act()
        plugin.manager.recover()
    download = plugin.vendor.download

    def busy(*arguments: object) -> None:
        with pytest.raises(PackageConflictError, match="a package of the plugin is being installed or removed"):
            plugin.manager.held().__enter__()
        download(*arguments)  # type: ignore[arg-type]

    plugin.vendor.download = busy  # type: ignore[method-assign, assignment]
    plugin.install("fw")
    assert plugin.tree() == {"x": b"x"}
    with plugin.manager.held():
        pass


HUB = """
from gevent import monkey
monkey.patch_all()
import sys, time
from pathlib import Path
import gevent
from gevent.pywsgi import WSGIServer
from gevent.threadpool import ThreadPool
from provd.model.operation import Operation
from provd.plugins.downloads import HttpDownloader
from provd.plugins.firmware.manager import PackageManager

content = Path(sys.argv[2]).read_bytes()

def site(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [content]

server = WSGIServer(("127.0.0.1", 0), site, log=None)
server.start()
folder = Path(sys.argv[1])
pkgs = folder / "pkgs/pkgs.db"
pkgs.write_text(pkgs.read_text().replace("vendor.example", f"127.0.0.1:{server.server_port}"))

gaps, last = [], time.monotonic()
def tick():
    global last
    while True:
        gevent.sleep(0.002)
        gaps.append(time.monotonic() - last)
        last = time.monotonic()
gevent.spawn(tick)
pool = ThreadPool(1)
manager, operation = PackageManager(folder, HttpDownloader()), Operation()
pool.spawn(manager.install, "fw", operation).get()
pool.spawn(manager.upgrade, "fw", Operation()).get()
pool.spawn(manager.uninstall, "fw").get()
pool.spawn(manager.recover).get()
print(str(operation).partition("(")[0], max(gaps) < 0.2, len(gaps) > 20)
"""


def test_downloading_and_installing_in_a_thread_while_the_hub_goes_on(tmp_path: Path) -> None:
    plugin = Plugin(tmp_path / "plugin")
    files = {f"{number}.st": bytes([number]) * 300_000 for number in range(100)}
    plugin.offer("fw", {"fw.zip": zip_of(files)}, ["a-b: unzip $FILE1"])
    (tmp_path / "site").write_bytes(plugin.vendor.files[SITE + "fw.zip"])
    command = [sys.executable, "-c", HUB, plugin.folder, tmp_path / "site"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (result.stdout, result.stderr) == ("install_pkg|success True True\n", "")
    assert PackageManager(plugin.folder, plugin.vendor).installed() == {}
