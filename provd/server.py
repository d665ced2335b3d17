"""The composition root: settings, store, plugins, doors; the order of start, drain and stop."""

from __future__ import annotations

import gc
import logging
import resource
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import gevent
from gevent.event import Event

from provd.admin.door import AdminDoor
from provd.admin.status import make_app
from provd.base_config import base_raw_config, is_address_per_phone
from provd.doors import DoorSockets, open_door_sockets
from provd.errors import SettingsError
from provd.logs import set_log_level
from provd.model.address import is_loopback
from provd.netinfo import address_facing
from provd.plugins.host import PluginHost
from provd.plugins.info import is_plugin_id
from provd.plugins.installer import install_archive, log_other_versions, update_if_possible
from provd.plugins.recovery import recover
from provd.provisioning.admission import AdmissionLimits
from provd.provisioning.application import Application
from provd.provisioning.plugins import PluginSource
from provd.reload import compare
from provd.report import Report
from provd.repository_settings import open_downloader, open_repository
from provd.security.log import SecurityLog
from provd.security.nat import NatSwitch
from provd.serving.dhcp import DhcpDoor, DhcpOptions
from provd.serving.http import HttpDoor, HttpOptions
from provd.serving.probe import http_answers, tftp_answers
from provd.serving.tftp import TftpDoor, TftpOptions
from provd.settings import Settings, backups_folder, nat_state_file, plugins_folder, store_path
from provd.stacks import describe_stacks
from provd.store.schema import SCHEMA
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store
from provd.systemd import Notifier, inherited_descriptors, watchdog_interval_s

log = logging.getLogger(__name__)

_STATUS_INTERVAL_S = 10.0
_STOP_MARGIN_S = 15.0
"""What a stop may take after the doors have closed: the store's last commit."""
_FOLDER_MODE = 0o750
_EXPIRY_BEGINS_AFTER_S = 3600.0


class Server:
    """The running program. `run` returns when it has been told to stop and has stopped.

    `read_settings` gives the settings as they are in the files when it is called.

    Raises:
        ProvdError: it cannot start; the message says why.
    """

    def __init__(
        self, settings: Settings, install_plugins: Sequence[str], read_settings: Callable[[], Settings]
    ) -> None:
        self._settings = settings
        self._read_settings = read_settings
        self._stop = Event()
        self._notifier = Notifier()
        _raise_descriptor_limit()
        _make_folders(settings)
        with ExitStack() as undo:
            sockets = open_door_sockets(settings, inherited_descriptors())
            undo.callback(sockets.close)
            self._security_log = SecurityLog(settings["security.log_file"])
            undo.callback(self._security_log.close)
            self._store = Store(SqliteBackend(store_path(settings)), SCHEMA)
            undo.callback(self._store.close, as_found=True)
            self._compose(sockets, install_plugins)
            undo.pop_all()

    def run(self) -> None:
        """Serve until a signal says stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._stop.set)
        gevent.signal_handler(signal.SIGHUP, self._look_again)
        gevent.signal_handler(signal.SIGUSR1, _log_stacks)
        self._tftp.start()
        self._http.start()
        self._dhcp.start()
        for door in self._admin:
            door.start()
        for name, addresses in self._report.listening().items():
            if not addresses:
                continue
            log.info("listening: door=%s address=%s", name, ",".join(addresses))
        gc.collect()
        gc.freeze()  # what the start made stays; the collector need not look at it again
        self._notifier.ready(self._report.line())
        background = [gevent.spawn(self._tell_status), gevent.spawn(self._watch_doors)]
        self._stop.wait()
        gevent.killall(background)
        self._shut_down()

    def _compose(self, sockets: DoorSockets, install_plugins: Sequence[str]) -> None:
        """Put the parts together, from the store to the doors."""
        settings = self._settings
        http_port, tftp_port = (each[0].getsockname()[1] for each in (sockets.http, sockets.tftp))
        base = base_raw_config(settings, http_port, tftp_port)
        _warn_of_loopback(str(base["ip"]), sockets)
        self._host = PluginHost(plugins_folder(settings))
        self._install(install_plugins)
        self._host.load_all(base)
        nat = NatSwitch(settings["general.nat"], nat_state_file(settings))
        nat.publish()
        facing = address_facing if is_address_per_phone(settings) else None
        source = PluginSource(
            repository=lambda: open_repository(self._settings),
            downloader=lambda: open_downloader(self._settings),
            backups_folder=backups_folder(settings),
        )
        self._app = Application(self._store, self._host, self._security_log, base, nat, facing, source)
        self._app.admission.use(_admission_limits(settings))
        self._app.begin()
        self._app.expiry.use(settings["admission.expire_days"], begin_after_s=_EXPIRY_BEGINS_AFTER_S)
        self._dhcp = DhcpDoor(sockets.dhcp, self._app.leases, _dhcp_options(settings))
        self._tftp = TftpDoor(sockets.tftp, self._app.phones, _tftp_options(settings))
        self._http = HttpDoor(sockets.http, self._app.phones, _http_options(settings))
        admin_addresses = [listener.getsockname() for listener in sockets.admin]
        self._report = Report(self._app, self._tftp, self._http, self._dhcp, admin_addresses)
        self._admin = [AdminDoor(listener, make_app(self._report.as_json)) for listener in sockets.admin]

    def _install(self, plugin_ids: Sequence[str]) -> None:
        """Install the plugins that are not there yet; of the others, log which have another version in the repository.

        Raises:
            ProvdError: one cannot be installed.
        """
        recover(self._host.folder, backups_folder(self._settings))
        repository = open_repository(self._settings)
        for plugin_id in plugin_ids:
            if not is_plugin_id(plugin_id):
                raise SettingsError(f"--install-plugin: {plugin_id!r} is no plugin id, such as xivo-aastra-3.3.1-SP2")
        missing = [plugin_id for plugin_id in plugin_ids if not (self._host.folder / plugin_id).exists()]
        if missing:
            update_if_possible(repository)
        for plugin_id in missing:
            install_archive(plugin_id, repository.archive(plugin_id), self._host.folder)
            log.info("plugin installed: plugin=%s repository=%s", plugin_id, repository.location)
        present = [plugin_id for plugin_id in plugin_ids if plugin_id not in missing]
        gevent.spawn(log_other_versions, present, repository, self._host.folder)  # the repository may be far away

    def _shut_down(self) -> None:
        """Doors first, each in its own time; then what they used."""
        drain_s = self._settings["general.drain_timeout"]
        self._notifier.stopping(drain_s + _STOP_MARGIN_S)
        log.info(
            "stopping: transfers=%d connections=%d they_may_take_s=%.0f",
            self._tftp.transfers, self._http.connections, drain_s,
        )  # fmt: skip
        gevent.joinall([gevent.spawn(door.stop, drain_s) for door in (self._tftp, self._http, self._dhcp)])
        for door in self._admin:
            door.stop()
        self._app.end()
        self._store.close()
        self._security_log.close()
        log.info("stopped")

    def _tell_status(self) -> None:
        while True:
            gevent.sleep(_STATUS_INTERVAL_S)
            self._notifier.status(self._report.line())

    def _watch_doors(self) -> None:
        """Tell the watchdog that all is well, but only after every door answered a question from outside."""
        interval = watchdog_interval_s()
        while interval is not None:
            timeout = interval / 4
            silent = [str(address) for address in self._tftp.addresses if not tftp_answers(address, timeout)]
            silent += [str(address) for address in self._http.addresses if not http_answers(address, timeout)]
            if silent:
                log.error("doors do not answer: addresses=%s", ",".join(silent))
            else:
                self._notifier.alive()
            gevent.sleep(timeout)

    def _look_again(self) -> None:
        """Use the security log that stands at its place now, changed settings, and changed templates."""
        self._security_log.reopen()
        self._reload_settings()
        self._app.doubts.check_plugins()
        self._app.doubts.check_addresses()
        log.info("templates looked at: devices_to_check=%d", len(self._app.recheck))

    def _reload_settings(self) -> None:
        """Use what changed in the settings, as far as that is possible while the server runs."""
        try:
            changes = compare(self._settings, self._read_settings())
        except SettingsError as error:
            for line in str(error).split("\n"):
                log.error("the settings stay as they are: %s", line)
            return
        self._settings = changes.settings
        set_log_level(self._settings["general.log_level"])
        self._tftp.use(_tftp_options(self._settings))
        self._http.use(_http_options(self._settings))
        self._dhcp.use(_dhcp_options(self._settings))
        self._app.admission.use(_admission_limits(self._settings))
        self._app.expiry.use(self._settings["admission.expire_days"])
        if "general.nat" in changes.at_once:
            self._app.set_nat(self._settings["general.nat"])
        log.info("settings read again: changed=%s", ",".join(changes.at_once) or "none")
        if changes.after_restart:
            log.warning("settings that need a restart: changed=%s", ",".join(changes.after_restart))


def _make_folders(settings: Settings) -> None:
    for folder in (Path(settings["general.state_dir"]), plugins_folder(settings)):
        try:
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"general.state_dir: {folder}: {error.strerror}") from error


def _warn_of_loopback(address: str, sockets: DoorSockets) -> None:
    """Phones on other machines must not be told that the server is where they are."""
    if is_loopback(address) and not all(is_loopback(each.getsockname()[0]) for each in (*sockets.tftp, *sockets.http)):
        log.warning("phones are told that this server is %s: set general.external_ip", address)


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as the system allows: each transfer and connection needs one or two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _log_stacks() -> None:
    log.info("stacks:\n%s\nend of stacks", describe_stacks())


def _tftp_options(settings: Settings) -> TftpOptions:
    keys = ("port_range", "single_port", "max_transfers", "max_transfers_per_address", "max_blksize", "max_windowsize")
    return TftpOptions(**{key: settings[f"tftp.{key}"] for key in keys}, networks=settings["general.phone_networks"])


def _http_options(settings: Settings) -> HttpOptions:
    return HttpOptions(
        max_connections=settings["http.max_connections"],
        max_connections_per_address=settings["http.max_connections_per_address"],
        head_timeout_s=settings["http.head_timeout"],
        idle_timeout_s=settings["http.idle_timeout"],
        trusted_proxies=settings["http.trusted_proxies"],
        networks=settings["general.phone_networks"],
    )


def _dhcp_options(settings: Settings) -> DhcpOptions:
    return DhcpOptions(is_on=settings["general.dhcp_integration"], users=settings["dhcp.users"])


def _admission_limits(settings: Settings) -> AdmissionLimits:
    return AdmissionLimits(**{each.name: settings[f"admission.{each.name}"] for each in fields(AdmissionLimits)})
