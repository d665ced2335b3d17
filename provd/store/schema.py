"""Which collections provd has, and how their documents are found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from provd.store.collection import Document, KeysOf

DEVICES = "devices"
CONFIGS = "configs"
RENDERINGS = "renderings"
"""Which files each device has, as `{"files": [{"plugin", "path", "sensitive", "proves_sync"}]}`; the id is its."""
PARAMETERS = "parameters"
"""What the server keeps of itself."""
UNFINISHED = "unfinished"
"""The key of the index `state` under which all devices are that are `is_unfinished`."""


def _value(key: str) -> KeysOf:
    def keys(document: Document) -> tuple[str, ...]:
        value = document.get(key)
        return (value,) if isinstance(value, str) else ()

    return keys


def _parents(config: Document) -> list[str]:
    return list(config.get("parent_ids", ()))


def _files(rendering: Document) -> Iterator[str]:
    for file in rendering["files"]:
        yield file_key(file["plugin"], file["path"])


def is_unfinished(device: Document) -> bool:
    """Tell whether a device has a plugin and a config, but not the files that it should have."""
    return bool(device.get("plugin") and device.get("config") and device.get("configured") is not True)


def _states(device: Document) -> tuple[str, ...]:
    return (UNFINISHED,) if is_unfinished(device) else ()


def _stems(rendering: Document) -> Iterator[str]:
    for file in rendering["files"]:
        yield stem(file["path"])


def stem(path: str) -> str:
    """A file's name without folders and extensions, in lower case: what the files of one phone have in common."""
    return path.rpartition("/")[2].partition(".")[0].casefold()


def file_key(plugin_id: str, path: str) -> str:
    """The key under which the index `file` of the renderings finds who has a file."""
    return f"{plugin_id}/{path}"


SCHEMA: Mapping[str, Mapping[str, KeysOf]] = {
    DEVICES: {
        **{key: _value(key) for key in ("mac", "sn", "uuid", "ip", "plugin", "config")},
        "state": _states,
        "contact": _value("last_contact"),
    },
    CONFIGS: {"parent": _parents, "role": _value("role")},
    RENDERINGS: {"file": _files, "stem": _stems},
    PARAMETERS: {},
}
