"""A child process that renders `base.tpl` of the plugin's folder it is given, with little time and memory; it prints
what that raises.
"""

from __future__ import annotations

import sys
from pathlib import Path

from provd.errors import TemplateError
from provd.plugins import limits, templates

limits.INTERVAL_S = 0.001
templates.MAX_RENDER_SECONDS = 0.2
templates.MAX_RENDER_BYTES = 8 * 1024 * 1024

try:
    templates.TemplateSet(Path(sys.argv[1])).render(["base.tpl"], {})
except TemplateError as error:
    print(f"TemplateError: {error}")
