"""The definition in the guide works as it stands there."""

from __future__ import annotations

import hashlib
import re
import textwrap
from pathlib import Path

from provd.model.operation import Operation

from .sample import Plugin, zip_of

GUIDE = (Path(__file__).parents[4] / "docs" / "plugins.md").read_text(encoding="utf-8")


def test_the_package_of_the_guide(plugin: Plugin) -> None:
    found = re.search(r"^    \[pkg_e100-fw\]\n((?:    .*\n|\n)+)", GUIDE, re.MULTILINE)
    assert found
    text = textwrap.dedent(found[0])
    plugin.define("guide", text)
    assert plugin.manager.problems() == []
    assert plugin.manager.installable("fr_FR")["e100-fw"].description.startswith("Micrologiciel")

    content = zip_of({"e100/fw.st": b"firmware", "e100/README": b"read me"})
    for key, value in (
        ("size", len(content)),
        ("sha1sum", hashlib.sha1(content).hexdigest()),
        ("sha256sum", hashlib.sha256(content).hexdigest()),
    ):
        text = re.sub(rf"^{key}: .*$", f"{key}: {value}", text, flags=re.MULTILINE)
    plugin.define("guide", text)
    plugin.vendor.files["http://mirror.vendor.example/fw-1.4.2.zip"] = content
    plugin.manager.install("e100-fw", Operation())
    assert plugin.tree() == {"Example/E100/fw.st": b"firmware"}
