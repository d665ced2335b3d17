"""Fills an empty store with phones that are known already, as a server leaves it behind.

Phone 0 is served by provd's own code. What that stores is the pattern for all others, so that their documents are
those that the server itself would have written; the Configurer, which makes the files of the phones that take part,
finds nothing to store for them, and that is checked.
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path

import phones

from provd.base_config import base_raw_config
from provd.model.request import HttpRequest
from provd.plugins.files import OpenFile
from provd.plugins.host import PluginHost
from provd.plugins.installer import install_archive
from provd.plugins.repository import Repository
from provd.provisioning.application import Application
from provd.security.log import SecurityLog
from provd.settings import Settings, load_settings, plugins_folder, store_path
from provd.store.collection import encode_document
from provd.store.schema import CONFIGS, DEVICES, RENDERINGS, SCHEMA
from provd.store.sqlite import SqliteBackend
from provd.store.store import Store, Transaction

_PHONES_A_TRANSACTION = 5000

_PADDED_TEMPLATE = """\
{% set text %}{% include "shipped.tpl" %}{% endset -%}
{{ text }}
{{ "#" * (SIZE - 1 - text | length) }}
"""
"""The shipped template, which lies beside this one as `shipped.tpl`, and a comment that fills the file up."""

Documents = dict[str, tuple[str, str]]
"""Id and JSON text of a document, by collection."""


class SeedError(Exception):
    """The server's code did not do what the benchmark builds on."""


def main() -> None:
    """Seed the store of a settings file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="settings file of a server that does not run")
    parser.add_argument("--devices", type=int, required=True, help="how many devices the store gets")
    parser.add_argument("--phones", type=int, required=True, help="how many of them get their files, the first ones")
    options = parser.parse_args()
    seed(load_settings(options.config, {}), options.devices, options.phones)


def seed(settings: Settings, devices: int, taking_part: int) -> None:
    """Install the plugin and fill the store.

    Raises:
        SeedError: see there.
    """
    base = base_raw_config(settings, settings["http.port"], settings["tftp.port"])
    host = PluginHost(plugins_folder(settings))
    host.folder.mkdir(parents=True)
    _install_plugin(Repository(settings["general.plugin_server"]), host.folder)
    host.load_all(base)
    security_log = SecurityLog(settings["security.log_file"])
    store = Store(SqliteBackend(store_path(settings)), SCHEMA)
    app = Application(store, host, security_log, base)
    try:
        app.begin()
        pattern = _first_documents(app)
        for first in range(1, devices, _PHONES_A_TRANSACTION):
            store.commit(_transaction(pattern, range(first, min(first + _PHONES_A_TRANSACTION, devices))))
        _make_files(app, taking_part)
    finally:
        app.end()
        store.close()
        security_log.close()


def _install_plugin(repository: Repository, folder: Path) -> None:
    """Install the plugin, with the custom template and the firmware that the benchmark needs."""
    plugin = install_archive(phones.PLUGIN, repository.archive(phones.PLUGIN), folder)
    custom = plugin / "var" / "templates"
    (custom / "shipped.tpl").write_bytes((plugin / "templates" / "base.tpl").read_bytes())
    (custom / "base.tpl").write_text(_PADDED_TEMPLATE.replace("SIZE", str(phones.FILE_BYTES)), encoding="utf-8")
    firmware = plugin / "var" / "tftpboot" / phones.FOLDER / phones.FIRMWARE_NAME
    firmware.write_bytes(random.Random(1).randbytes(phones.FIRMWARE_BYTES))


def _first_documents(app: Application) -> Documents:
    """What the server stores for phone 0 when that first asks."""
    request = HttpRequest(phones.address(0), phones.own_file(0), headers={"user-agent": phones.user_agent(0)})
    reply = app.phones.handle(request)
    if not isinstance(reply, OpenFile):
        raise SeedError(f"the first phone gets no file: {reply.name}")
    reply.close()
    if reply.size != phones.FILE_BYTES:
        raise SeedError(f"the first phone's file has {reply.size} bytes instead of {phones.FILE_BYTES}")
    (device_id,) = app.store.collection(DEVICES).ids()
    config_id = (app.store.collection(DEVICES).get(device_id) or {})["config"]
    ids = {DEVICES: device_id, CONFIGS: config_id, RENDERINGS: device_id}
    return {name: (key, encode_document(app.store.collection(name).get(key) or {})) for name, key in ids.items()}


def _transaction(pattern: Documents, numbers: range) -> Transaction:
    """The documents of some phones, made from those of phone 0."""
    first_id, first_number = pattern[DEVICES][0], int(pattern[CONFIGS][0].removeprefix("autoprov"))
    first = (first_id, phones.mac(0), phones.plain_mac(0), phones.address(0), str(first_number))
    transaction = Transaction()
    for number in numbers:
        own = (f"{number:032x}", phones.mac(number), phones.plain_mac(number), phones.address(number),
               str(first_number - number))  # fmt: skip
        for name, (document_id, text) in pattern.items():
            for old, new in zip(first, own, strict=True):
                document_id, text = document_id.replace(old, new), text.replace(old, new)
            transaction.put(name, document_id, json.loads(text), 0)
    return transaction


def _make_files(app: Application, taking_part: int) -> None:
    """Render the files of the phones that take part, as the server does when it checks them after a crash."""
    devices, renderings = app.store.collection(DEVICES), app.store.collection(RENDERINGS)
    for device_id in devices.ids()[:taking_part]:
        before = devices.revision(device_id), renderings.revision(device_id)
        reason = app.configurer.configure(device_id)
        if reason is not None or before != (devices.revision(device_id), renderings.revision(device_id)):
            raise SeedError(f"the server would store something else for {devices.get(device_id)}: {reason}")


if __name__ == "__main__":
    main()
