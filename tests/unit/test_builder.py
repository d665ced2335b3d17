"""The repository of the official plugins: the same bytes from the same sources, and mistakes called by their file."""

from __future__ import annotations

import bz2
import hashlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from provd.plugins.info import INTERFACE_VERSION, parse_plugin_info
from provd.plugins.repository import Repository

SCRIPT = Path(__file__).parents[2] / "plugins" / "builder.py"

PLUGIN = """\
id = "xivo-acme-1.0"
version = "0.1"
vendor = "Acme"
description = "Acme phones"
description_fr = "Téléphones Acme"

[firmware]
A1 = "1.0.3"
"""
MODELS = """\
[A1]
names = ["A1"]
lines = 2
keys = [{ kind = "key", count = 4 }, { kind = "softkey", count = 6 }]
modules = 1

[A2]
names = ["A2"]
lines = 9
"""
DHCP = """\
[[phones]]
name = "desk"
vendor_class = [{ prefix = "Acme" }]

[phones.options]
43.2 = { text = "{http_base_url}/Acme" }
66 = { text = "{address}" }
"""
DHCP_PHONES = [
    {
        "name": "desk",
        "vendor_class": [{"prefix": "Acme"}],
        "options": {"43": {"2": {"text": "{http_base_url}/Acme"}}, "66": {"text": "{address}"}},
    }
]


def _builder() -> ModuleType:
    """The script, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("provd_plugins_builder_under_test", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


builder = _builder()


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """The sources of a family with one version."""
    folder = tmp_path / "sources"
    for path, text in {
        "acme/common/models.toml": MODELS,
        "acme/common/common.py": "shared = True\n",
        "acme/common/templates/base.tpl": "common\n",
        "acme/common/__pycache__/common.cpython-311.pyc": "compiled",
        "acme/1.0/plugin.toml": PLUGIN,
        "acme/1.0/entry.py": "from .common import shared\n",
        "acme/1.0/templates/base.tpl": "own\n",
        "acme/1.0/var/tftpboot/é b.cfg": "fixed\n",
        "README": "no plugin\n",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.fixture
def umask() -> Iterator[None]:
    old = os.umask(0o077)
    yield
    os.umask(old)


def built(sources: Path, repository: Path) -> dict[str, bytes]:
    """The files of the repository by name."""
    builder.build_repository(sources, repository)
    return {path.name: path.read_bytes() for path in repository.iterdir()}


def archive_of(files: dict[str, bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(bz2.decompress(files["xivo-acme-1.0-0.1.tar.bz2"])))


def mistake(sources: Path, tmp_path: Path) -> str:
    with pytest.raises(builder.BuildError) as caught:
        builder.build_repository(sources, tmp_path / "repository")
    return str(caught.value)


# --- the same bytes


def test_the_same_sources_give_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    assert built(sources, tmp_path / "one") == built(sources, tmp_path / "two")


@pytest.mark.usefixtures("umask")
def test_a_copy_with_other_times_and_modes_gives_the_same_bytes(sources: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(sources, copy)
    for path in copy.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    (copy / "acme/1.0/__pycache__").mkdir()
    (copy / "acme/1.0/__pycache__/entry.cpython-311.pyc").write_text("compiled")
    assert built(copy, tmp_path / "one") == built(sources, tmp_path / "two")


def test_another_byte_gives_another_archive(sources: Path, tmp_path: Path) -> None:
    before = built(sources, tmp_path / "one")
    (sources / "acme/1.0/entry.py").write_text("from .common import shared as shared\n")
    after = built(sources, tmp_path / "two")
    assert after["xivo-acme-1.0-0.1.tar.bz2"] != before["xivo-acme-1.0-0.1.tar.bz2"]


def test_the_official_plugins_give_the_same_bytes_twice(tmp_path: Path) -> None:
    files = built(SCRIPT.parent, tmp_path / "one")
    assert files == built(SCRIPT.parent, tmp_path / "two")
    assert len(files) > 1


# --- archives and index


def test_a_versions_readme_is_put_before_the_common_one(sources: Path, tmp_path: Path) -> None:
    (sources / "acme/common/README").write_text("what holds for all\n")
    (sources / "acme/1.0/README").write_text("version 1.0\n\n")
    readme = archive_of(built(sources, tmp_path / "repository")).extractfile("xivo-acme-1.0/README")
    assert readme is not None
    assert readme.read() == b"version 1.0\n\nwhat holds for all\n"


def test_an_archive_holds_the_versions_files_over_the_common_ones(sources: Path, tmp_path: Path) -> None:
    archive = archive_of(built(sources, tmp_path / "repository"))
    contents = {
        member.name: (archive.extractfile(member) or io.BytesIO()).read() for member in archive if member.isfile()
    }
    info = contents.pop("xivo-acme-1.0/plugin-info")
    assert contents == {
        "xivo-acme-1.0/common.py": b"shared = True\n",
        "xivo-acme-1.0/entry.py": b"from .common import shared\n",
        "xivo-acme-1.0/templates/base.tpl": b"own\n",
        "xivo-acme-1.0/var/tftpboot/é b.cfg": b"fixed\n",
    }
    assert "Téléphones Acme" in info.decode()


def test_an_archive_has_the_folders_of_an_installed_plugin(sources: Path, tmp_path: Path) -> None:
    archive = archive_of(built(sources, tmp_path / "repository"))
    folders = {member.name for member in archive if member.isdir()}
    names = ["", "/pkgs", "/templates", "/var", "/var/cache", "/var/installed", "/var/templates", "/var/tftpboot"]
    assert folders == {f"xivo-acme-1.0{name}" for name in names}


def test_members_belong_to_root_and_have_no_time(sources: Path, tmp_path: Path) -> None:
    members = archive_of(built(sources, tmp_path / "repository")).getmembers()
    assert {(each.uid, each.gid, each.uname, each.gname, each.mtime) for each in members} == {(0, 0, "root", "root", 0)}
    assert {(each.isdir(), each.mode) for each in members} == {(True, 0o755), (False, 0o644)}
    names = [each.name for each in members if each.isfile()]
    assert names == sorted(names)


def test_the_index_has_the_sums_and_the_size_of_the_archive(sources: Path, tmp_path: Path) -> None:
    files = built(sources, tmp_path / "repository")
    archive = files["xivo-acme-1.0-0.1.tar.bz2"]
    entry = json.loads(files["plugins.db"])["xivo-acme-1.0"]
    assert entry["filename"] == "xivo-acme-1.0-0.1.tar.bz2"
    assert (entry["version"], entry["dsize"]) == ("0.1", len(archive))
    assert entry["sha1sum"] == hashlib.sha1(archive).hexdigest()
    assert entry["sha256sum"] == hashlib.sha256(archive).hexdigest()
    assert (entry["description"], entry["description_fr"]) == ("Acme phones", "Téléphones Acme")
    assert entry["capabilities"] == {
        "Acme, A1, 1.0.3": {
            "sip.lines": 2,
            "lines": 2,
            "function_keys": 10,
            "expansion_modules": 1,
            "high_availability": True,
            "switchboard": False,
            "type": "deskphone",
            "protocol": "sip",
        }
    }


def test_plugin_info_is_what_the_server_understands(sources: Path, tmp_path: Path) -> None:
    archive = archive_of(built(sources, tmp_path / "repository"))
    member = archive.extractfile("xivo-acme-1.0/plugin-info")
    assert member is not None
    info = parse_plugin_info("xivo-acme-1.0", json.loads(member.read()))
    assert (info.version, info.vendor, list(info.models)) == ("0.1", "Acme", ["A1"])
    assert info.models["A1"].firmware == "1.0.3"
    assert info.raw["plugin_iface_version_min"] == INTERFACE_VERSION
    assert "id" not in info.raw


def test_a_model_that_says_little_has_the_usual_capabilities() -> None:
    capabilities = builder.capabilities({"lines": 9})
    assert (capabilities["function_keys"], capabilities["expansion_modules"], capabilities["lines"]) == (0, 0, 9)
    assert (capabilities["type"], capabilities["protocol"]) == ("deskphone", "sip")


def test_the_server_reads_what_was_built(sources: Path, tmp_path: Path) -> None:
    files = built(sources, tmp_path / "repository")
    repository = Repository(str(tmp_path / "repository"))
    assert repository.archive("xivo-acme-1.0") == files["xivo-acme-1.0-0.1.tar.bz2"]


def test_the_script_builds_and_says_what(sources: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--sources", str(sources), str(tmp_path / "repository")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("xivo-acme-1.0 0.1: xivo-acme-1.0-0.1.tar.bz2, ")
    assert (tmp_path / "repository" / "plugins.db").is_file()


# --- what DHCP servers tell phones


def test_a_familys_table_is_in_its_plugins_and_in_the_repository(sources: Path, tmp_path: Path) -> None:
    (sources / "acme/dhcp.toml").write_text(DHCP)
    files = built(sources, tmp_path / "repository")
    member = archive_of(files).extractfile("xivo-acme-1.0/plugin-info")
    assert member is not None
    assert json.loads(member.read())["dhcp"] == {"family": "acme", "phones": DHCP_PHONES}
    assert json.loads(files["dhcp.json"]) == [{"family": "acme", "phones": DHCP_PHONES, "version": "0.1"}]


def test_a_family_without_a_plugin_has_a_table_too(sources: Path, tmp_path: Path) -> None:
    (sources / "example").mkdir()
    (sources / "example/dhcp.toml").write_text(DHCP)
    files = built(sources, tmp_path / "repository")
    assert json.loads(files["dhcp.json"]) == [{"family": "example", "phones": DHCP_PHONES}]
    assert b'"dhcp"' not in (archive_of(files).extractfile("xivo-acme-1.0/plugin-info") or io.BytesIO()).read()


def test_the_newest_version_of_a_familys_plugins_is_its_tables(sources: Path, tmp_path: Path) -> None:
    (sources / "acme/dhcp.toml").write_text(DHCP)
    shutil.copytree(sources / "acme/1.0", sources / "acme/1.1")
    newer = PLUGIN.replace("acme-1.0", "acme-1.1").replace('"0.1"', '"0.10"')
    (sources / "acme/1.1/plugin.toml").write_text(newer)
    (sources / "acme/1.0/plugin.toml").write_text(PLUGIN.replace('"0.1"', '"0.9"'))
    assert json.loads(built(sources, tmp_path / "repository")["dhcp.json"])[0]["version"] == "0.10"


def test_tables_give_the_same_bytes_twice(sources: Path, tmp_path: Path) -> None:
    (sources / "acme/dhcp.toml").write_text(DHCP)
    copy = tmp_path / "copy"
    shutil.copytree(sources, copy)
    assert built(sources, tmp_path / "one") == built(copy, tmp_path / "two")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (DHCP.replace("prefix", "suffix"), "phones[1].vendor_class[1]: 'suffix' is not allowed; allowed: { exact = "),
        (DHCP.replace("66 =", "6 ="), "phones[1].options: '6' is not allowed; allowed: the options 43, 66, 67"),
        ("[", ""),
    ],
)
@pytest.mark.parametrize("family", ["acme", "example"])
def test_a_table_that_is_wrong_is_called_by_its_file(
    sources: Path, tmp_path: Path, family: str, text: str, message: str
) -> None:
    (sources / family).mkdir(exist_ok=True)
    (sources / family / "dhcp.toml").write_text(text)
    assert mistake(sources, tmp_path).startswith(f"{sources}/{family}/dhcp.toml: {message}")


# --- mistakes


def test_a_model_that_is_not_known_is_named(sources: Path, tmp_path: Path) -> None:
    (sources / "acme/1.0/plugin.toml").write_text(f'{PLUGIN}A3 = "1.0"\n')
    assert mistake(sources, tmp_path) == (
        "xivo-acme-1.0: firmware of A3 is stated, but models.toml knows no such model"
    )


@pytest.mark.parametrize("name", ["acme/1.0/plugin.toml", "acme/common/models.toml"])
@pytest.mark.parametrize("content", [b"[", b"\xff"], ids=["no TOML", "no UTF-8"])
def test_a_file_that_cannot_be_read_is_named(sources: Path, tmp_path: Path, name: str, content: bytes) -> None:
    (sources / name).write_bytes(content)
    assert mistake(sources, tmp_path).startswith(f"{sources / name}: ")


def test_models_that_are_missing_are_named(sources: Path, tmp_path: Path) -> None:
    (sources / "acme/common/models.toml").unlink()
    assert "acme/common/models.toml: " in mistake(sources, tmp_path)


def test_the_script_ends_with_the_mistake_and_no_traceback(sources: Path, tmp_path: Path) -> None:
    (sources / "acme/1.0/plugin.toml").write_text("[")
    command = [sys.executable, str(SCRIPT), "--sources", str(sources), str(tmp_path / "repository")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"{sources / 'acme/1.0/plugin.toml'}: ")


@pytest.mark.parametrize("key", ["id", "version", "vendor", "firmware"])
def test_a_key_that_is_missing_is_named(sources: Path, tmp_path: Path, key: str) -> None:
    text = PLUGIN.replace("[firmware]", "[other]") if key == "firmware" else PLUGIN.replace(f"{key} = ", "other = ")
    (sources / "acme/1.0/plugin.toml").write_text(text)
    message = mistake(sources, tmp_path)
    assert "plugin.toml" in message
    assert key in message


def test_a_model_without_lines_is_named(sources: Path, tmp_path: Path) -> None:
    (sources / "acme/common/models.toml").write_text('[A1]\nnames = ["A1"]\n')
    message = mistake(sources, tmp_path)
    assert "A1" in message
    assert "lines" in message


def test_two_plugins_with_the_same_id_are_refused(sources: Path, tmp_path: Path) -> None:
    shutil.copytree(sources / "acme/1.0", sources / "acme/1.1")
    assert "xivo-acme-1.0" in mistake(sources, tmp_path)


@pytest.mark.parametrize("name", [".entry.py.swp", "entry.py~", ".DS_Store"])
def test_what_editors_leave_behind_changes_nothing(sources: Path, tmp_path: Path, name: str) -> None:
    before: Any = built(sources, tmp_path / "one")
    (sources / "acme/1.0" / name).write_text("left behind")
    assert built(sources, tmp_path / "two") == before
