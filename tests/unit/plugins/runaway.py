"""A child process that renders `base.tpl` of the plugin's folder it is given, in little time; prints what it raises."""

from __future__ import annotations

import sys
from pathlib import Path

from provd.errors import TemplateError
from provd.plugins import templates

templates.MAX_RENDER_SECONDS = 0.2

try:
    templates.TemplateSet(Path(sys.argv[1])).render(["base.tpl"], {})
except TemplateError as error:
    print(f"TemplateError: {error}")
