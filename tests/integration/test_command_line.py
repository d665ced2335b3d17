"""The daemon's command line: settings, checks and what is said when something is wrong."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from provd import __version__
from provd.settings import OPTIONS, default_file_text
from tests.integration.clients import CONFIG, http_get
from tests.integration.server import AASTRA, RunningServer, wait_until

ROOT = Path(__file__).parents[2]


def xivo_provd(*arguments: str, status: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "provd", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if status is not None:
        assert result.returncode == status, result.stderr
    assert "Traceback" not in result.stderr
    return result


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str], list[str]]:
    """Writes a settings file, and gives the arguments that name it and a state folder."""

    def write(text: str = "") -> list[str]:
        file = tmp_path / "provd.toml"
        file.write_text(text or f'[security]\nlog_file = "{tmp_path}/security.log"\n')
        return [
            "--config", str(file), "--state-dir", str(tmp_path / "state"),
            "--tftp-port=0", "--http-port=0", "--admin-port=0",
        ]  # fmt: skip

    return write


def test_the_version_is_told() -> None:
    assert xivo_provd("--version", status=0).stdout == f"xivo-provd {__version__}\n"


def test_help_lists_every_option_of_the_table_that_has_a_flag() -> None:
    text = xivo_provd("--help", status=0).stdout
    for flag in [option.flag for option in OPTIONS if option.flag] + ["--config", "--install-plugin", "--check"]:
        assert flag in text


def test_help_tells_the_exit_codes() -> None:
    text = xivo_provd("--help", status=0).stdout
    assert re.findall(r"^  (\d)  ", text.partition("exit codes:\n")[2], re.M) == ["0", "1", "2"]


def test_the_shipped_settings_file_is_the_one_that_the_table_makes() -> None:
    assert (ROOT / "etc" / "provd.toml").read_text() == default_file_text(), "run: make settings"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[tftp]\nprot = 69\n", "tftp.prot: there is no such option; allowed: port, port_range"),
        ("[ftp]\nport = 69\n", r"ftp: there is no such table; allowed: \[general\]"),
        ("[tftp]\nport = 70000\n", "tftp.port: 70000 is not allowed; allowed: a whole number from 0 to 65535"),
        ('[tftp]\nsingle_port = "yes"\n', "tftp.single_port: 'yes' is not allowed; allowed: true or false"),
        ('[general]\nbind = "here"\n', "general.bind: 'here' is not allowed; allowed: an IPv4 or IPv6 address"),
        ("[tftp\n", "at line 1"),
    ],
)
def test_a_wrong_setting_is_named_and_the_server_does_not_start(
    settings: Callable[[str], list[str]], tmp_path: Path, text: str, message: str
) -> None:
    result = xivo_provd(*settings(text), status=2)
    assert re.search(re.escape(f"{tmp_path}/provd.toml: ") + ".*" + message, result.stderr), result.stderr
    assert not (tmp_path / "state").exists()


def test_every_mistake_in_the_settings_is_told(settings: Callable[..., list[str]], tmp_path: Path) -> None:
    arguments = settings('state_dir = "/srv"\n[tftp]\nport = "69"\nprot = 69\n')
    beginnings = [f"xivo-provd: {tmp_path}/provd.toml: {name}: " for name in ("state_dir", "tftp.port", "tftp.prot")]
    for more in ([], ["--check"]):
        lines = xivo_provd(*arguments, *more, status=2).stderr.splitlines()
        assert [line.startswith(each) for line, each in zip(lines, beginnings, strict=True)] == [True] * 3, lines


def test_two_doors_with_the_same_port_are_named(settings: Callable[..., list[str]]) -> None:
    result = xivo_provd(*settings(), "--http-port", "28667", "--admin-port", "28667", status=2)
    assert "admin.port and http.port are both 28667" in result.stderr


def test_a_base_raw_config_that_is_missing_is_named_with_its_setting(
    settings: Callable[..., list[str]], tmp_path: Path
) -> None:
    text = f'[general]\nbase_raw_config_file = "/nonexistent.json"\n[security]\nlog_file = "{tmp_path}/log"\n'
    message = "xivo-provd: general.base_raw_config_file: /nonexistent.json: No such file or directory\n"
    assert xivo_provd(*settings(text), status=2).stderr == message


def test_a_wrong_flag_is_named(settings: Callable[..., list[str]]) -> None:
    result = xivo_provd(*settings(), "--tftp-port", "many", status=2)
    assert "--tftp-port: 'many' is not allowed; allowed: a whole number from 0 to 65535" in result.stderr


def test_a_settings_file_that_is_named_must_exist(tmp_path: Path) -> None:
    result = xivo_provd("--config", f"{tmp_path}/none.toml", status=2)
    assert f"{tmp_path}/none.toml: No such file or directory" in result.stderr


def test_a_port_that_is_taken_is_named(settings: Callable[..., list[str]]) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as taken:
        taken.bind(("::", 0))
        port = taken.getsockname()[1]
        result = xivo_provd(*settings(), "--tftp-port", str(port), status=2)
    assert f"tftp door: all addresses port {port}: Address already in use; another program has it, " in result.stderr


def test_a_plugin_that_is_not_in_the_repository_is_named(settings: Callable[..., list[str]], repository: Path) -> None:
    arguments = [*settings(), "--plugin-repository", str(repository)]
    result = xivo_provd(*arguments, "--install-plugin", "xivo-nothing-1.0", status=1)
    expected = f"{repository} has no plugin xivo-nothing-1.0; it has {AASTRA}, xivo-aastra-3.2.2.1136"
    assert f"general.plugin_server: {expected}" in result.stderr


def test_a_repository_that_is_not_there_is_named(settings: Callable[..., list[str]], tmp_path: Path) -> None:
    result = xivo_provd(*settings(), "--plugin-repository", f"{tmp_path}/none", "--install-plugin", AASTRA, status=1)
    assert f"xivo-provd: general.plugin_server: {tmp_path}/none has no plugins.db\n" in result.stderr


def test_a_plugin_is_installed_from_a_web_server(
    start_server: Callable[..., RunningServer], repository: Path, tmp_path: Path
) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(repository))
    settings = f'[general]\ncache_dir = "{tmp_path}/cache"\n'
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{web.server_address[1]}/"
        server = start_server(arguments=["--plugin-repository", url], settings=settings)
        web.shutdown()
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 200
    assert server.stop() == 0
    server.start()  # it is there: the repository, gone now, is not needed
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 200


def test_without_internet_a_plugin_is_installed_from_what_was_put_there_by_hand(
    start_server: Callable[..., RunningServer], repository: Path, tmp_path: Path
) -> None:
    (archive,) = repository.glob(f"{AASTRA}-*.tar.bz2")
    copied(archive, tmp_path / "cache")
    copied(repository / "plugins.db", tmp_path / "server0" / "lib" / "plugins")
    server = start_server(
        arguments=["--plugin-repository", "http://127.0.0.1:1/"],
        settings=f'[general]\ncache_dir = "{tmp_path}/cache"\n',
    )
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 200
    assert "repository not updated, going on with its last list" in server.log()


def copied(file: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copy(file, folder)


def test_what_a_crash_left_of_an_upgrade_is_tidied_at_the_start(start_server: Callable[..., RunningServer]) -> None:
    server = start_server()
    assert server.stop() == 0
    plugins = server.state / "lib" / "plugins"
    aside = plugins / ".provd-upgrade-0" / ".old"
    aside.mkdir(parents=True)
    (plugins / AASTRA).rename(aside / AASTRA)
    server.start()
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 200
    assert "upgrade was interrupted, the old version is back" in server.log()
    assert [path.name for path in plugins.iterdir()] == [AASTRA]


def test_a_check_finds_nothing_wrong_beside_a_running_server(server: RunningServer) -> None:
    http_get(server.http_port, f"/Aastra/{CONFIG}")
    arguments = ["--config", f"{server.state}/settings.toml", "--state-dir", f"{server.state}/lib", "--check"]
    result = xivo_provd(*arguments, status=0)
    assert result.stdout.splitlines()[1:] == [
        f"xivo-provd: settings: {server.state}/settings.toml",
        f"xivo-provd: store: {server.state}/lib/provd.db: 1 device, {len(server.configs())} configs",
        f"xivo-provd: plugins: {AASTRA}",
        "xivo-provd: settings, store and plugins are in order",
    ]
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("security.log_file", "/nonexistent/x.log", "No such file or directory"),
        ("security.log_file", "{folder}", "Is a directory"),
        ("general.state_dir", "{folder}/file", "Not a directory"),
        ("general.state_dir", "{folder}/file/below", "Not a directory"),
        ("general.state_dir", "/proc/x", ""),
    ],
)
def test_a_place_with_which_the_server_does_not_start_is_named_by_a_check(
    tmp_path: Path, option: str, value: str, reason: str
) -> None:
    (tmp_path / "file").touch()
    values = {"general.state_dir": f"{tmp_path}/state", "security.log_file": f"{tmp_path}/security.log"}
    values[option] = place = value.format(folder=tmp_path)
    lines = [f'[{name.partition(".")[0]}]\n{name.partition(".")[2]} = "{path}"' for name, path in values.items()]
    (tmp_path / "provd.toml").write_text("\n".join(lines))
    arguments = ["--config", f"{tmp_path}/provd.toml", "--tftp-port=0", "--http-port=0", "--admin-port=0"]
    assert f"xivo-provd: {option}: {place}: {reason}" in xivo_provd(*arguments, "--check", status=2).stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "provd.toml"]
    xivo_provd(*arguments, status=2)  # the server agrees


def test_a_check_before_the_first_start_warns_that_there_is_no_plugin(settings: Callable[..., list[str]]) -> None:
    result = xivo_provd(*settings(), "--check", status=0)
    assert result.stderr == (
        "xivo-provd: warning: no plugin is installed, so no phone gets files; see --install-plugin\n"
    )
    assert "/state/provd.db: none yet\n" in result.stdout
    assert result.stdout.endswith("are in order, but there are warnings\n")


def test_a_check_names_what_is_damaged(server: RunningServer) -> None:
    http_get(server.http_port, f"/Aastra/{CONFIG}")
    server.stop()
    device_id = server.devices()[0]["id"]
    with sqlite3.connect(server.state / "lib" / "provd.db") as database:
        damage = "UPDATE documents SET document = 'no JSON' WHERE collection = 'devices' AND id = ?"
        database.execute(damage, (device_id,))
    database.close()
    (server.state / "lib" / "plugins" / "stray").mkdir()
    arguments = ["--config", f"{server.state}/settings.toml", "--state-dir", f"{server.state}/lib", "--check"]
    errors = xivo_provd(*arguments, status=1).stderr
    assert f"devices '{device_id}'" in errors
    assert "plugin stray: " in errors
    server.expected_errors += ["unreadable document", "plugin does not load: plugin=stray"]
    server.start()
    status = server.status()
    assert device_id in status["store"]["unreadable"][0]
    assert "plugin-info" in status["plugins"]["stray"]["error"]
    assert http_get(server.http_port, f"/Aastra/{CONFIG}").status == 200, "the others are served"


def test_a_check_of_a_file_that_is_no_store_says_so(settings: Callable[..., list[str]], tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "provd.db").write_text("this is no database" * 100)
    assert "not a database" in xivo_provd(*settings(), "--check", status=1).stderr
    assert "not a database" in xivo_provd(*settings(), status=1).stderr


def test_a_plugin_in_another_version_than_the_repositorys_is_told_and_kept(
    start_server: Callable[..., RunningServer],
) -> None:
    server = start_server()
    info = server.tftpboot().parents[1] / "plugin-info"
    info.write_text(info.read_text().replace('"version": "2.0"', '"version": "1.9"'))
    server.stop()
    server.start()
    wait_until(lambda: "1.9" in server.log() and "2.0" in server.log(), 10, "the word of the other version")
    assert '"version": "1.9"' in info.read_text()


@pytest.mark.parametrize("plugin_id", ["..", "", "xivo-aastra/../x", "a b"])
def test_what_is_no_plugin_id_is_not_installed(start_server: Callable[..., RunningServer], plugin_id: str) -> None:
    server = start_server()
    server.stop()
    result = subprocess.run(
        [*server.command, "--install-plugin", plugin_id], capture_output=True, text=True, timeout=30, check=False
    )
    assert result.returncode == 2
    assert f"--install-plugin: {plugin_id!r} is no plugin id" in result.stderr
