"""A program that changes plugins, and devices' plugins, for ever; tests kill it.

It is run by gevent.monkey. It opens a state folder as the server does, but listens to nobody, and writes a line when it
begins with something. With `finish` it undoes the last change of devices' plugins, makes it again, and ends.
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from provd.base_config import base_raw_config
from provd.model.operation import Operation
from provd.plugins.host import PluginHost
from provd.plugins.recovery import recover
from provd.provisioning.application import Application
from provd.provisioning.plugins import PluginSource
from provd.repository_settings import open_downloader, open_repository
from provd.security.log import SecurityLog
from provd.settings import Settings, backups_folder, load_settings, plugins_folder, store_path
from provd.store.schema import DEVICES, PARAMETERS, SCHEMA
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store

OLD, NEW, UNUSED = "xivo-sample-1.0", "xivo-sample-2.0", "xivo-other-1.0"
VERSIONS = ("1.0", "1.1")
"""The repository has each version of all plugins at a URL of its own."""


@dataclass
class Worker:
    """The application, and a repository that has another version of everything now and then."""

    app: Application
    use_version: Callable[[str], None]
    chance: random.Random

    def work(self) -> None:
        """Do one thing after the other, each as the doors do it."""
        jobs = [self.upgrade, self.upgrade, self.come_and_go, self.move, self.move, self.reconfigure]
        while True:
            job = self.chance.choice(jobs)
            say(job.__name__)
            operation_id = self.app.operations.start(Operation(job.__name__), lambda operation, job=job: job(operation))
            assert self.app.operations.wait(operation_id).error is None, operation_id

    def upgrade(self, operation: Operation) -> None:
        self.use_version(self.chance.choice(VERSIONS))
        self.app.plugins.update(Operation())
        self.app.plugins.upgrade(self.chance.choice((OLD, NEW)), operation)

    def come_and_go(self, operation: Operation) -> None:
        if UNUSED in self.app.host.installed:
            self.app.plugins.uninstall(UNUSED)
        else:
            self.app.plugins.update(Operation())
            self.app.plugins.install(UNUSED, operation)

    def move(self, operation: Operation) -> dict:
        old, new = self.chance.sample((OLD, NEW), 2)
        return self.app.mass.change_plugin(old, new, operation).as_data()

    def reconfigure(self, operation: Operation) -> dict:
        return self.app.mass.reconfigure(self.app.store.collection(DEVICES).ids(), operation).as_data()

    def finish(self) -> dict:
        """Undo the last change, and repeat it for all devices."""
        change = self.app.mass.changes()[0]
        undone = self.app.mass.undo(change["id"], Operation())
        devices = self.app.store.collection(DEVICES)
        remembered = (self.app.store.collection(PARAMETERS).get(f"plugin_change {change['id']}") or {})["devices"]
        still_changed = [each for each in remembered if devices.has("plugin", change["to"], each)]
        repeated = self.app.mass.change_plugin(change["from"], change["to"], Operation())
        return {
            "change": change, "failed": {**undone.failed, **repeated.failed},
            "still_changed": still_changed, "after_repeating": self.plugins(),
        }  # fmt: skip

    def plugins(self) -> list[str]:
        """The plugins that devices have."""
        return sorted({device["plugin"] for device in self.app.store.collection(DEVICES).documents()})


def say(text: str) -> None:
    """Write a line that is there even if the process is killed right after."""
    os.write(1, f"{text}\n".encode())


def open_application(settings: Settings, source: PluginSource, http_port: int, tftp_port: int) -> Application:
    """What `Server` composes, without doors."""
    base = base_raw_config(settings, http_port, tftp_port)
    host = PluginHost(plugins_folder(settings))
    recover(host.folder, backups_folder(settings))
    host.load_all(base)
    store = Store(SqliteBackend(store_path(settings)), SCHEMA)
    app = Application(store, host, SecurityLog(settings["security.log_file"]), base, plugin_source=source)
    app.begin()
    return app


def main(settings_file: str, state: str, url: str, http_port: str, tftp_port: str, what: str) -> None:
    """Open the state folder, say `begin`, and work; `what` is `finish` or a seed."""

    def settings_for(version: str) -> Settings:
        places = {"general.state_dir": state, "general.plugin_server": f"{url}/{version}"}
        return load_settings(Path(settings_file), places)

    def use_version(version: str) -> None:
        nonlocal settings
        settings = settings_for(version)

    settings = settings_for(VERSIONS[0])
    source = PluginSource(
        lambda: open_repository(settings), lambda: open_downloader(settings), backups_folder(settings)
    )
    app = open_application(settings, source, int(http_port), int(tftp_port))
    say("begin")
    worker = Worker(app, use_version, random.Random(what))
    if what != "finish":
        worker.work()
    say(json.dumps(worker.finish()))
    app.end()
    app.store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
