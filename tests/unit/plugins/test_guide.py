"""The plugin of the guide works as it stands there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from provd.model.identity import Identity, Support
from provd.model.raw_config import prepare_raw_config
from provd.model.request import HttpRequest
from provd.plugins.loader import LoadedPlugin, load_plugin
from provd.plugins.rendering import render_device_files

from .sample import write

GUIDE = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text(encoding="utf-8")
LINE = {"username": "je5qtq", "password": "s3cr3t", "display_name": "Alice", "proxy_ip": "192.0.2.10"}


def plugin_of_the_guide(folder: Path) -> LoadedPlugin:
    for name in ("plugin-info", "entry.py", "templates/base.tpl"):
        found = re.search(rf"^`{re.escape(name)}`:\n\n((?:    .*\n|\n)+)", GUIDE, re.MULTILINE)
        assert found, f"the guide does not show {name}"
        write(folder / "xivo-example-1.4" / name, textwrap.dedent(found[1]).rstrip() + "\n")
    return load_plugin(folder / "xivo-example-1.4")


def test_the_phone_of_the_guide_gets_its_file(tmp_path: Path) -> None:
    plugin = plugin_of_the_guide(tmp_path)
    asked = re.search(r'curl -A "([^"]+)" http://[^/]+/(\S+)', GUIDE)
    assert asked
    identity = plugin.code.identify_http(HttpRequest("192.0.2.7", asked[2], headers={"user-agent": asked[1]}))
    assert identity == Identity("Example", "E100", "1.4.2", "00:00:5e:00:53:01")
    assert plugin.code.support(identity) is Support.EXACT
    raw = prepare_raw_config({"ip": "192.0.2.10", "http_port": 8667, "tftp_port": 69, "sip_lines": {"1": LINE}})
    (file,) = render_device_files(
        plugin.code.device_files({"mac": identity.mac}, raw), plugin.templates, identity.model, raw
    )
    assert (file.path, file.sensitive) == (asked[2], plugin.code.is_sensitive(asked[2]))
    assert file.content.decode().split() == [
        *("#", "00:00:5e:00:53:01", "server=http://192.0.2.10:8667", "account1=je5qtq:s3cr3t@192.0.2.10"),
    ]
