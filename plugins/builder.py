#!/usr/bin/env python3
"""Builds the repository of the official plugins: one archive a plugin, the index `plugins.db`, and `dhcp.json`.

    builder.py [--sources FOLDER] REPOSITORY

A family's folder holds `common/`, which its versions share, and one folder a version, whose files win, but for the
`README`, which is put before the common one; and `dhcp.toml`, what a DHCP server tells its phones, which may be there
before any plugin is. The same sources give the same bytes, whenever and wherever they are built.
"""

from __future__ import annotations

import argparse
import bz2
import hashlib
import io
import json
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from provd.dhcp.collect import TABLES_NAME  # noqa: E402
from provd.dhcp.table import parse_table  # noqa: E402
from provd.errors import InvalidValueError  # noqa: E402
from provd.plugins.info import version_key  # noqa: E402

NOT_SHIPPED = ("models.toml", "plugin.toml")
NEEDED = ("id", "version", "vendor", "description", "firmware")
EMPTY_FOLDERS = ("pkgs", "templates", "var/cache", "var/installed", "var/templates", "var/tftpboot")
INTERFACE_VERSION = 1.0


class BuildError(Exception):
    """The sources of a plugin are wrong; the message names the file."""


def main() -> None:
    """Build all plugins below the sources into the repository."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path, help="folder to write the archives and indexes to")
    parser.add_argument("--sources", type=Path, default=HERE, help="folder of the families")
    options = parser.parse_args()
    try:
        index = build_repository(options.sources, options.repository)
    except BuildError as error:
        sys.exit(f"{error}")
    for plugin_id, entry in index.items():
        print(f"{plugin_id} {entry['version']}: {entry['filename']}, {entry['dsize']} bytes")


def build_repository(sources: Path, repository: Path) -> dict[str, Any]:
    """Write every plugin's archive, the index and the families' tables for DHCP servers; return the index."""
    repository.mkdir(parents=True, exist_ok=True)
    index: dict[str, Any] = {}
    versions: dict[str, list[str]] = {}
    for version_folder in sorted(path.parent for path in sources.glob("*/*/plugin.toml")):
        files, info = plugin_files(version_folder)
        plugin_id, archive = info["id"], pack(info["id"], files)
        if plugin_id in index:
            raise BuildError(f"{version_folder / 'plugin.toml'}: id: there is another plugin {plugin_id}")
        versions.setdefault(version_folder.parent.name, []).append(info["version"])
        filename = f"{plugin_id}-{info['version']}.tar.bz2"
        (repository / filename).write_bytes(archive)
        index[plugin_id] = {
            "filename": filename,
            **{key: value for key, value in info.items() if key == "version" or key.startswith("description")},
            "capabilities": info["capabilities"],
            "dsize": len(archive),
            "sha1sum": hashlib.sha1(archive, usedforsecurity=False).hexdigest(),
            "sha256sum": hashlib.sha256(archive).hexdigest(),
        }
    (repository / "plugins.db").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    tables = [_with_version(table, versions) for table in dhcp_tables(sources)]
    (repository / TABLES_NAME).write_text(json.dumps(tables, indent=2) + "\n", encoding="utf-8")
    return index


def dhcp_tables(sources: Path) -> list[dict[str, Any]]:
    """What DHCP servers tell the phones of each family, also of those that have no plugin yet."""
    return [dhcp_table(path.parent) for path in sorted(sources.glob("*/dhcp.toml"))]


def dhcp_table(family_folder: Path) -> dict[str, Any]:
    """The checked content of a family's `dhcp.toml`, and the family's name, which is the folder's."""
    path, family = family_folder / "dhcp.toml", family_folder.name
    table = read_toml(path)
    try:
        parse_table(family, table)
    except InvalidValueError as error:
        raise BuildError(f"{path}: {error}") from error
    return {"family": family, **table}


def _with_version(table: dict[str, Any], versions: dict[str, list[str]]) -> dict[str, Any]:
    """A family's table with the newest of its plugins' versions, if it has plugins."""
    known = versions.get(table["family"])
    return {**table, "version": max(known, key=version_key)} if known else table


def plugin_files(version_folder: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The files of the plugin whose version's sources are in a folder, by path, and its plugin-info."""
    common_folder = version_folder.parent / "common"
    common, own = read_tree(common_folder), read_tree(version_folder)
    files = {**common, **own}
    if "README" in common and "README" in own:
        files["README"] = own["README"] + common["README"]
    plugin = read_toml(version_folder / "plugin.toml")
    for key in NEEDED:
        if key not in plugin:
            raise BuildError(f"{version_folder / 'plugin.toml'}: {key}: missing")
    models = read_toml(common_folder / "models.toml")
    for name, model in models.items():
        if "lines" not in model:
            raise BuildError(f"{common_folder / 'models.toml'}: {name}.lines: missing")
    info = plugin_info(plugin, models)
    if (version_folder.parent / "dhcp.toml").exists():
        info["dhcp"] = dhcp_table(version_folder.parent)
    shipped = {key: value for key, value in info.items() if key != "id"}
    files["plugin-info"] = (json.dumps(shipped, indent=2, ensure_ascii=False) + "\n").encode()
    return files, info


def plugin_info(plugin: dict[str, Any], models: dict[str, Any]) -> dict[str, Any]:
    """The content of `plugin-info`: the plugin's own words, and what its models say."""
    info = {key: value for key, value in plugin.items() if key != "firmware"}
    info["plugin_iface_version_min"] = INTERFACE_VERSION
    chosen = {}
    for name, firmware in plugin["firmware"].items():
        if name not in models:
            raise BuildError(f"{plugin['id']}: firmware of {name} is stated, but models.toml knows no such model")
        chosen[name] = {**models[name], "firmware": firmware}
    info["models"] = chosen
    info["capabilities"] = {
        f"{plugin['vendor']}, {name}, {model['firmware']}": capabilities(model) for name, model in chosen.items()
    }
    return info


def capabilities(model: dict[str, Any]) -> dict[str, Any]:
    """A model's capabilities, under the names of the existing provd's plugins, the older `sip.lines` included."""
    return {
        "sip.lines": model["lines"],
        "lines": model["lines"],
        "function_keys": sum(block["count"] for block in model.get("keys", [])),
        "expansion_modules": model.get("modules", 0),
        "high_availability": model.get("high_availability", True),
        "switchboard": model.get("switchboard", False),
        "type": model.get("type", "deskphone"),
        "protocol": model.get("protocol", "sip"),
    }


def pack(top_folder: str, files: dict[str, bytes]) -> bytes:
    """A bzip2-compressed tar of `files` below `top_folder`: sorted, owned by root, without times."""
    folders = {top_folder}
    for path in [*files, *(f"{folder}/x" for folder in EMPTY_FOLDERS)]:
        parts = f"{top_folder}/{path}".split("/")[:-1]
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for folder in sorted(folders):
            archive.addfile(_member(folder, tarfile.DIRTYPE, 0o755, 0))
        for path, content in sorted(files.items()):
            member = _member(f"{top_folder}/{path}", tarfile.REGTYPE, 0o644, len(content))
            archive.addfile(member, io.BytesIO(content))
    return bz2.compress(buffer.getvalue())


def read_tree(folder: Path) -> dict[str, bytes]:
    """The shipped files below a folder, by path relative to it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and _is_shipped(path)
    }


def _is_shipped(path: Path) -> bool:
    """Not what only the builder reads, and not what interpreters and editors leave behind."""
    hidden = path.name.startswith(".") or path.name.endswith("~")
    return not hidden and path.name not in NOT_SHIPPED and "__pycache__" not in path.parts


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; what is wrong with it becomes a `BuildError`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BuildError(f"{path}: {error}") from error


def _member(name: str, kind: bytes, mode: int, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.mtime = kind, mode, size, 0
    member.uname = member.gname = "root"
    return member


if __name__ == "__main__":
    main()
