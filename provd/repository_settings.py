"""The repository of plugins as the settings say: where it is, who signs it, through which proxies it is reached."""

from __future__ import annotations

from provd.plugins.downloads import HttpDownloader
from provd.plugins.repository import Cache, Repository
from provd.plugins.signature import SignatureRules
from provd.plugins.web import Proxies
from provd.settings import Settings, plugins_folder


def open_repository(settings: Settings) -> Repository:
    """The repository of these settings. Nothing is asked yet; after a change of settings, open it anew."""
    return Repository(
        settings["general.plugin_server"],
        plugins_folder=plugins_folder(settings),
        cache=Cache(settings["general.cache_dir"], settings["general.cache_plugin"]),
        signatures=SignatureRules(
            settings["general.plugin_keyring"], settings["general.plugin_signature"] == "required"
        ),
        downloader=open_downloader(settings),
    )


def open_downloader(settings: Settings) -> HttpDownloader:
    """What fetches files through the proxies of these settings."""
    return HttpDownloader(Proxies(*(settings[f"general.{scheme}_proxy"] for scheme in ("http", "https", "ftp"))))
