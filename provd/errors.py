"""The errors of provd, one tree.

Each class says which HTTP status a door answers with and which exit code a command ends with.
Messages are written for an administrator: they name the field, the value and what is allowed.
"""

from __future__ import annotations

import re

_SECRET = re.compile(r"password|secret|_key$", re.IGNORECASE)
"""Fields whose values no message may show."""


class ProvdError(Exception):
    """Anything that provd refuses or fails at, with a message for the administrator."""

    http_status = 500
    exit_code = 1


class InvalidValueError(ProvdError):
    """A value that somebody gave is not allowed.

    `field` is the dotted name of the value (`sip_lines.1.username`), `allowed` says what would be accepted.
    """

    http_status = 400

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = "(not shown)" if _is_secret(field, value) else value
        self.allowed = allowed
        super().__init__(f"{_one_line(field)}: {_shown(self.value)} is not allowed; allowed: {allowed}")


class MissingValueError(InvalidValueError):
    """A value that is needed is not there."""

    def __init__(self, field: str, allowed: str) -> None:
        super().__init__(field, None, allowed)
        self.args = (f"{field}: missing; needed: {allowed}",)


class SettingsError(ProvdError):
    """The settings files or the command line are wrong; the server does not start."""

    exit_code = 2


class NotFoundError(ProvdError):
    """There is no such device, config or plugin."""

    http_status = 404


class AlreadyExistsError(ProvdError):
    """Something with this id exists already."""

    http_status = 400


class NotDeletableError(ProvdError):
    """The config says that it must not be deleted."""

    http_status = 403


class ConflictError(ProvdError):
    """The document was changed by someone else since it was read."""

    http_status = 409


class StoreError(ProvdError):
    """The store could not be read or written; nothing was changed."""

    http_status = 503


class RepositoryError(ProvdError):
    """The plugin repository, or an archive in it, cannot be used."""

    http_status = 502


class PluginError(ProvdError):
    """A plugin cannot do what it is asked: raised by plugins, with the reason to show."""


class PluginLoadError(PluginError):
    """A plugin's folder cannot be loaded."""


class PackageError(PluginError):
    """A firmware package cannot be installed or removed; the message says why."""


class PackageConflictError(PackageError):
    """It cannot be done now: somebody is at it, or another package or file stands in the way."""

    http_status = 409


class TemplateError(PluginError):
    """A template cannot be found or fails; the message names its file and line.

    `path` is the template's below the plugin's folder, `line` the place in it, where they are known; `reason` is the
    message without them.
    """

    def __init__(self, reason: str, path: str | None = None, line: int | None = None) -> None:
        self.reason, self.path, self.line = reason, path, line
        place = f"{path}, line {line}: " if path and line else f"{path}: " if path else ""
        super().__init__(place + reason)


def names_a_secret(field: str) -> bool:
    """Tell whether the values of a field of this name must not be shown."""
    return _SECRET.search(field) is not None


def _is_secret(field: str, value: object) -> bool:
    """A secret by the name of its field; a container may hold one under any name."""
    return names_a_secret(field) or (isinstance(value, dict | list) and bool(value))


def _one_line(field: str) -> str:
    return field if field.isprintable() else ascii(field)[1:-1]


def _shown(value: object) -> str:
    """`value` as a message may show it: quoted, and not longer than a line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
