"""A small plugin of the imaginary vendor Sample, written into a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLUGIN_ID = "xivo-sample-1.0"

INFO: Mapping[str, Any] = {
    "version": "1.0",
    "description": "Phones of the imaginary vendor Sample.",
    "capabilities": {},
    "vendor": "Sample",
    "models": {"S100": {"lines": 2, "firmware": "1.0"}, "S200": {"lines": 4, "firmware": "1.0"}},
}

ENTRY = '''
import re

from provd.plugins.api import File, Identity, Plugin, PluginError, format_mac, normalize_mac

OWN_FILE = re.compile(r"(?:.*/)?([0-9A-Fa-f]{12})[.](?:cfg|key)")


class SamplePlugin(Plugin):
    """`Sample S100 00:08:5d:00:00:01 1.0` is a phone's User-Agent, `Sample/00085D000001.cfg` its file.

    Its vendor class (DHCP option 60) is `Sample S100`, or `Sample` of older ones.
    """

    IS_PLUGIN = True

    def identify_http(self, request):
        words = request.user_agent.split()
        if words[:1] == ["Sample"]:
            known = dict(zip(("model", "mac", "version"), words[1:]))
            return Identity(vendor="Sample", **known)
        return self.identify_tftp(request)

    def identify_tftp(self, request):
        own = OWN_FILE.fullmatch(request.path)
        return Identity(vendor="Sample", mac=normalize_mac(own[1])) if own else None

    def identify_dhcp(self, lease):
        words = lease.options.get(60, b"").decode("latin-1").split()
        return Identity(vendor="Sample", model=(words + [None])[1]) if words[:1] == ["Sample"] else None

    def common_files(self, raw_config):
        return [File("Sample/common.cfg", content=f"server={raw_config['ip']}")]

    def device_files(self, device, raw_config):
        if not device.get("mac"):
            raise PluginError("the MAC address is not known")
        name = format_mac(device["mac"], "", upper=True)
        yield File(f"Sample/{name}.cfg", context={"XX_mac": device["mac"]}, sensitive=True, proves_sync=True)

    def is_sensitive(self, path):
        return OWN_FILE.fullmatch(path) is not None
'''

BASE_TEMPLATE = "mac={{ XX_mac }} model=base user={{ sip_lines['1'].username }} at={{ ip }}\n"


def write_plugin(
    folder: Path,
    plugin_id: str = PLUGIN_ID,
    *,
    entry: str | None = ENTRY,
    info: Mapping[str, Any] | str | None = INFO,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write a plugin below `folder` and return its own folder; None leaves out a file."""
    plugin = folder / plugin_id
    plugin.mkdir(parents=True)
    if info is not None:
        text = info if isinstance(info, str) else json.dumps(info)
        (plugin / "plugin-info").write_text(text, encoding="utf-8")
    if entry is not None:
        (plugin / "entry.py").write_text(entry, encoding="utf-8")
    for path, content in {"templates/base.tpl": BASE_TEMPLATE, **(files or {})}.items():
        write(plugin / path, content)
    return plugin


def write(path: Path, content: str) -> Path:
    """Write a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path
