"""A child process whose files may not grow beyond a few bytes: publishes `a` below the folder it is given."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

from provd.errors import PluginError
from provd.plugins.publish import publish
from provd.plugins.rendering import RenderedFile

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    publish(Path(sys.argv[1]), [RenderedFile("a", b"x" * 100_000, sensitive=True, proves_sync=False)])
except PluginError as error:
    print(json.dumps({"error": str(error)}))
