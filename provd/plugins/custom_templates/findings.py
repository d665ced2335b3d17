"""What is wrong with a template, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from provd.errors import TemplateError


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """Phones that need the template get no new file."""
    WARNING = "warning"
    """The template works, but probably not as it is meant."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `path` is below the plugin's folder, `line` counts from 1 or is None."""

    path: str
    line: int | None
    severity: Severity
    message: str


def finding_of(error: TemplateError, path: str) -> Finding:
    """What a template's error says; `path` is what was looked at, for errors that name no template."""
    return Finding(error.path or path, error.line, Severity.ERROR, error.reason)
