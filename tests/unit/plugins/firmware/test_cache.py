"""The vendors' files: downloaded, put into the cache by hand, wrong or missing."""

from __future__ import annotations

import hashlib

import pytest

from provd.errors import RepositoryError
from provd.model.operation import Operation
from provd.plugins.firmware.manager import PackageManager

from .sample import FIRMWARE, SITE, Plugin, Vendor


def test_a_file_that_was_put_there_by_hand_is_used(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    (plugin.folder / "var/cache/fw.zip").write_bytes(plugin.vendor.files[SITE + "fw.zip"])
    operation = plugin.install("fw")
    assert plugin.vendor.asked == []
    assert "(download|success(success;" in str(operation)


@pytest.mark.parametrize("wrong", [b"", b"x", None])
def test_a_wrong_file_that_was_put_there_by_hand_is_not(plugin: Plugin, wrong: bytes | None) -> None:
    plugin.offer_files("fw", FIRMWARE)
    right = plugin.vendor.files[SITE + "fw.zip"]
    (plugin.folder / "var/cache/fw.zip").write_bytes(right[:-1] + b"?" if wrong is None else wrong)
    plugin.install("fw")
    assert plugin.vendor.asked == [SITE + "fw.zip"]
    assert plugin.tree() == FIRMWARE


def test_a_dead_link_says_what_to_put_where(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    content = plugin.vendor.files.pop(SITE + "fw.zip")
    target = plugin.folder / "var/cache/fw.zip"
    operation = Operation()
    with pytest.raises(RepositoryError) as error:
        plugin.manager.install("fw", operation)
    assert str(error.value) == (
        f"fw.zip cannot be downloaded: {SITE}fw.zip: 404 Not Found. Put it by hand at {target} "
        f"({len(content)} bytes, SHA-1 {hashlib.sha1(content).hexdigest()})."
    )
    assert operation.error == str(error.value)
    assert str(operation) == f"install_pkg|fail(download|fail(fail;0/{len(content)}))"
    target.write_bytes(b"x")
    with pytest.raises(RepositoryError, match=rf"\)\. The file that is there has 1 bytes, not {len(content)}\.$"):
        plugin.install("fw")
    assert target.read_bytes() == b"x"
    target.write_bytes(content)
    plugin.install("fw")


def test_what_a_downloader_brings_is_looked_at(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    plugin.vendor.files[SITE + "fw.zip"] = b"a page that says that you must log in"
    with pytest.raises(RepositoryError, match="the downloaded file has 37 bytes, not"):
        plugin.install("fw")
    assert plugin.tree() == {}


def test_mirrors_are_handed_on(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    text = plugin.texts["fw"].replace("url: ", "filename: fw.zip\nurl: http://dead.example/fw.zip ")
    plugin.define("fw", text)
    plugin.install("fw")
    assert plugin.vendor.asked == ["http://dead.example/fw.zip", SITE + "fw.zip"]


def test_a_file_that_needs_a_login(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    plugin.define("fw", plugin.texts["fw"].replace("size:", "downloader: auth\nsize:"))
    with pytest.raises(RepositoryError, match=r"with the vendor's login from http.*Put it by hand at /"):
        plugin.install("fw")
    customer = Vendor()
    customer.files = plugin.vendor.files
    PackageManager(plugin.folder, plugin.vendor, auth_downloader=customer).install("fw", Operation())
    assert (plugin.vendor.asked, customer.asked) == ([], [SITE + "fw.zip"])


def test_a_file_without_an_address(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    plugin.define("fw", plugin.texts["fw"].replace(f"url: {SITE}", "filename: "))
    with pytest.raises(RepositoryError, match="there is no address to download it from"):
        plugin.install("fw")


def test_both_sums_count_for_a_file_in_the_cache(plugin: Plugin) -> None:
    plugin.offer_files("fw", FIRMWARE)
    plugin.define("fw", plugin.texts["fw"].replace("size:", f"sha256sum: {'0' * 64}\nsize:"))
    with pytest.raises(RepositoryError, match="has another sum, sha256 "):
        plugin.install("fw")
