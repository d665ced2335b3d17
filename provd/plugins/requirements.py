"""Which versions of the official plugins can do what; older ones, written for the existing provd, cannot."""

from __future__ import annotations

from collections.abc import Mapping

from provd.plugins.info import version_key

REPORTS_SENSITIVE_FILES_SINCE: Mapping[str, str] = {
    "xivo-aastra": "1.6",
    "xivo-cisco-sccp": "1.1",
    "xivo-cisco-spa": "1.0",
    "xivo-digium": "1.0",
    "xivo-polycom": "1.7",
    "xivo-snom": "1.6",
    "xivo-yealink": "1.26",
}
"""By family, the first version that says which files are sensitive, and so lets fail2ban see who asks for them."""


def needed_to_report_sensitive_files(plugin_id: str, version: str) -> str | None:
    """The version that a plugin has to have to report sensitive files, if it is too old; None if it is not.

    Nothing is known of the plugins of other families, so they are not called too old.
    """
    for family, since in REPORTS_SENSITIVE_FILES_SINCE.items():
        if plugin_id == family or plugin_id.startswith(f"{family}-"):
            return since if version_key(version) < version_key(since) else None
    return None
