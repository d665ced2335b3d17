"""Packages that need others."""

from __future__ import annotations

import pytest

from provd.errors import PackageConflictError, PackageError
from provd.model.operation import Operation

from .sample import SITE, Plugin


def depending(plugin: Plugin, **needs: str) -> None:
    for name, depends in needs.items():
        plugin.offer_files(name, {name: name.encode()}, more=f"depends: {depends}" if depends else "")


def test_dependencies_are_installed_first_and_kept_while_they_are_needed(plugin: Plugin) -> None:
    depending(plugin, base="", lang="base", main="lang base")
    operation = plugin.install("main")
    assert str(operation).count("(success;") == 3
    assert plugin.vendor.asked == [SITE + name for name in ("base.zip", "lang.zip", "main.zip")]
    assert {name: p.explicit for name, p in plugin.manager.installed().items()} == {
        "base": False, "lang": False, "main": True,
    }  # fmt: skip
    with pytest.raises(PackageConflictError, match="the package base is needed by: lang, main"):
        plugin.manager.uninstall("base")
    plugin.install("lang")
    assert plugin.manager.installed()["lang"].explicit
    for name in ("main", "lang", "base"):
        plugin.manager.uninstall(name)
    assert plugin.tree() == {}


def test_an_upgrade_installs_new_dependencies(plugin: Plugin) -> None:
    depending(plugin, base="", main="")
    plugin.install("main")
    depending(plugin, base="", main="base")
    plugin.manager.upgrade("main", Operation())
    assert {name: p.explicit for name, p in plugin.manager.installed().items()} == {"base": False, "main": True}


def test_dependencies_go_again_if_what_needs_them_fails(plugin: Plugin) -> None:
    depending(plugin, base="")
    plugin.offer("main", {"x.zip": b"no zip"}, ["a-b: unzip $FILE1"], more="depends: base")
    with pytest.raises(PackageError, match="cannot be unpacked"):
        plugin.install("main")
    assert (plugin.tree(), plugin.manager.installed(), plugin.leftovers()) == ({}, {}, [])


def test_a_long_chain_of_dependencies(plugin: Plugin) -> None:
    text = "[pkg_0]\nversion: 1\ndescription: x\n"
    for number in range(1, 200):
        text += f"[pkg_{number}]\nversion: 1\ndescription: x\ndepends: {number - 1} {max(0, number - 2)}\n"
    plugin.define("chain", text)
    plugin.install("99")
    assert len(plugin.manager.installed()) == 100


def test_a_package_of_dependencies_only(plugin: Plugin) -> None:
    depending(plugin, base="")
    plugin.define("all", "[pkg_all]\nversion: 1\ndescription: all\ndepends: base\n")
    plugin.install("all")
    assert plugin.tree() == {"base": b"base"}
