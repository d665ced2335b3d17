"""Loading a plugin's folder: what is no plugin is refused with its reason, and plugins never meet."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from provd.errors import PluginLoadError
from provd.model.identity import Identity
from provd.model.request import HttpRequest
from provd.plugins.info import INTERFACE_VERSION
from provd.plugins.loader import load_plugin

from .sample import INFO, write, write_plugin

PLAIN = "from provd.plugins.api import Plugin\n"
ONE = PLAIN + "class One(Plugin):\n    IS_PLUGIN = True\n"
REQUEST = HttpRequest("192.0.2.7", "x.cfg")


@pytest.fixture(autouse=True)
def _bytecode_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production, whatever PYTHONDONTWRITEBYTECODE says here."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def naming(expression: str) -> str:
    """The code of a plugin that identifies every phone's model as the value of an expression."""
    return (
        "from provd.plugins.api import Identity, Plugin\n"
        "class Naming(Plugin):\n    IS_PLUGIN = True\n"
        f"    def identify_http(self, request):\n        {expression}\n        return Identity(model=NAME)\n"
    )


def model_named_by(folder: Path) -> str | None:
    identity = load_plugin(folder).code.identify_http(REQUEST)
    assert isinstance(identity, Identity)
    return identity.model


def test_a_whole_plugin_is_loaded(tmp_path: Path) -> None:
    plugin = load_plugin(write_plugin(tmp_path))
    assert (plugin.id, plugin.info.version, plugin.info.vendor) == ("xivo-sample-1.0", "1.0", "Sample")
    assert plugin.code.models["S200"].lines == 4


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (None, "plugin-info: No such file or directory"),
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "an object is needed"),
        ('{"version": "1.0"}', "description: missing"),
        (json.dumps({**INFO, "version": 1.0}), "version: missing or of the wrong type"),
        (json.dumps({**INFO, "capabilities": []}), "capabilities: missing or of the wrong type"),
        (json.dumps({**INFO, "models": []}), "models: an object is needed"),
        (json.dumps({**INFO, "models": {"S1": {}}}), "models.S1: KeyError('lines')"),
        (json.dumps({**INFO, "models": {"S1": {"lines": "many"}}}), "models.S1: ValueError"),
        (json.dumps({**INFO, "models": {"S1": {"lines": 1, "keys": [{"kind": "k"}]}}}), "models.S1: KeyError('count')"),
        (json.dumps({**INFO, "models": {"S1": 7}}), "models.S1: "),
        (json.dumps({**INFO, "plugin_iface_version_min": INTERFACE_VERSION + 1}), "this server has 1.0"),
        (json.dumps({**INFO, "plugin_iface_version_max": 0.2}), "made for interface versions 0 to 0.2"),
        (json.dumps({**INFO, "plugin_iface_version_min": "1"}), "plugin_iface_version_min: '1' is not a number"),
        (json.dumps({**INFO, "plugin_iface_version_max": True}), "plugin_iface_version_max: True is not a number"),
        pytest.param(
            "[" * 100_000,
            "not JSON",
        ),
        pytest.param(
            '{"version":"1","description":"","capabilities":{},"models":{"S1":{"lines":1e999}}}',
            "models.S1: OverflowError",
        ),
    ],
)
def test_a_wrong_plugin_info_is_named(tmp_path: Path, info: str | None, reason: str) -> None:
    folder = write_plugin(tmp_path, info=info)
    with pytest.raises(PluginLoadError) as caught:
        load_plugin(folder)
    assert reason in str(caught.value)


def test_a_plugin_info_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    folder = write_plugin(tmp_path)
    (folder / "plugin-info").write_bytes('{"version": "é"}'.encode("latin-1"))
    with pytest.raises(PluginLoadError, match="not JSON"):
        load_plugin(folder)


def test_interface_versions_that_fit_are_accepted(tmp_path: Path) -> None:
    fitting = {"plugin_iface_version_min": INTERFACE_VERSION, "plugin_iface_version_max": INTERFACE_VERSION}
    assert load_plugin(write_plugin(tmp_path, info={**INFO, **fitting})).info.raw["vendor"] == "Sample"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (None, "entry.py: missing"),
        ("def :", "entry.py: SyntaxError"),
        ("1 / 0", "entry.py: ZeroDivisionError: division by zero"),
        ("import nothing_that_exists", "entry.py: ModuleNotFoundError"),
        ("import sys; sys.exit(0)", "entry.py: ends the program"),
        ("raise SystemExit", "entry.py: ends the program"),
        ("", "entry.py: 0 classes derive"),
        (PLAIN, "entry.py: 0 classes derive"),
        (PLAIN + "class One(Plugin):\n    pass\n", "entry.py: 0 classes derive"),
        ("class One:\n    IS_PLUGIN = True\n", "entry.py: 0 classes derive"),
        (ONE + "class Two(Plugin):\n    IS_PLUGIN = True\n", "entry.py: 2 classes derive"),
        (ONE + "    def __init__(self, info):\n        raise OSError('no')\n", "entry.py: OSError: no"),
    ],
)
def test_code_that_is_no_plugin_is_refused_with_the_reason(tmp_path: Path, entry: str | None, reason: str) -> None:
    folder = write_plugin(tmp_path, entry=entry)
    with pytest.raises(PluginLoadError) as caught:
        load_plugin(folder)
    assert reason in str(caught.value)


@pytest.mark.parametrize("line", ["filters = 7", "filters = {'f'}", "escape_xml = property(lambda self: 1 / 0)"])
def test_wrong_attributes_of_the_class_are_a_load_error(tmp_path: Path, line: str) -> None:
    with pytest.raises(PluginLoadError):
        load_plugin(write_plugin(tmp_path, entry=ONE + f"    {line}\n"))


@pytest.mark.parametrize("name", ["has space", "-dash", ".hidden", "_under", "ünï", "a" * 101, "a\nb"])
def test_a_folder_whose_name_is_no_plugin_id_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PluginLoadError, match="is no plugin id"):
        load_plugin(write_plugin(tmp_path, name))


def test_a_subclass_of_the_shared_class_is_the_plugin(tmp_path: Path) -> None:
    entry = "from .common import Base\nclass Version(Base):\n    IS_PLUGIN = True\n"
    folder = write_plugin(tmp_path, entry=entry, files={"common.py": PLAIN + "class Base(Plugin):\n    pass\n"})
    assert type(load_plugin(folder).code).__name__ == "Version"


def test_modules_beside_entry_can_be_imported(tmp_path: Path) -> None:
    folder = write_plugin(
        tmp_path, entry="from .data.names import NAME\n" + naming("pass"), files={"data/names.py": "NAME = 'S7'\n"}
    )
    assert model_named_by(folder) == "S7"


def test_two_versions_with_modules_of_one_name_never_meet(tmp_path: Path) -> None:
    plugins = []
    for version in ("1.0", "2.0"):
        folder = write_plugin(
            tmp_path,
            f"xivo-sample-{version}",
            entry=naming("from .common import NAME"),
            files={"common.py": f"NAME = 'of {version}'\n"},
        )
        plugins.append(load_plugin(folder))
    identities = [plugin.code.identify_http(REQUEST) for plugin in plugins]
    assert identities == [Identity(model="of 1.0"), Identity(model="of 2.0")]


def test_two_ids_that_look_alike_never_meet(tmp_path: Path) -> None:
    entry = naming("from .common import NAME")
    first = load_plugin(write_plugin(tmp_path, "a-b", entry=entry, files={"common.py": "NAME = 'first'\n"}))
    load_plugin(write_plugin(tmp_path, "a_2d_b", entry=entry, files={"common.py": "NAME = 'second'\n"}))
    assert first.code.identify_http(REQUEST) == Identity(model="first")


def test_nothing_is_left_in_the_plugins_folder(tmp_path: Path) -> None:
    entry = "from .common import NAME\n" + naming("pass")
    folder = write_plugin(tmp_path, entry=entry, files={"common.py": "NAME = 'S7'\n"})
    before = sorted(folder.rglob("*"))
    load_plugin(folder)
    assert sorted(folder.rglob("*")) == before
    assert not sys.dont_write_bytecode


def test_a_module_that_is_imported_late_leaves_nothing_either(tmp_path: Path) -> None:
    folder = write_plugin(tmp_path, entry=naming("from .late import NAME"), files={"late.py": "NAME = 'S7'\n"})
    assert model_named_by(folder) == "S7"
    assert not (folder / "__pycache__").exists()


def test_loading_again_sees_changed_code_also_of_the_same_size_and_time(tmp_path: Path) -> None:
    entry = "from .common import NAME\n" + naming("pass")
    folder = write_plugin(tmp_path, entry=entry, files={"common.py": "NAME = 'old'\n"})
    assert model_named_by(folder) == "old"
    status = (folder / "common.py").stat()
    write(folder / "common.py", "NAME = 'new'\n")
    os.utime(folder / "common.py", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert model_named_by(folder) == "new"


def test_a_plugin_that_did_not_load_can_be_repaired_and_loaded(tmp_path: Path) -> None:
    folder = write_plugin(tmp_path, entry="from .common import NAME\n" + naming("pass"))
    with pytest.raises(PluginLoadError, match="ModuleNotFoundError"):
        load_plugin(folder)
    write(folder / "common.py", "NAME = 'S7'\n")
    assert model_named_by(folder) == "S7"
