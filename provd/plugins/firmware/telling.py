"""Having an operation say how the work stands, however that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from provd.errors import PackageError, ProvdError
from provd.model.operation import Operation


@contextmanager
def telling(operation: Operation, label: str | None = None) -> Iterator[Operation]:
    """Have the operation say how the work that is done here stands; without a label it gets this one.

    Raises:
        OperationCancelledError: somebody wants it to stop already.
        PackageError: instead of an `OSError`.
    """
    operation.label = operation.label or label
    operation.begin()
    try:
        operation.check()
        yield operation
    except OSError as error:
        operation.fail(str(error))
        raise PackageError(f"{error.filename or 'the disk'}: {error.strerror or error}") from error
    except ProvdError as error:
        operation.fail(str(error))
        raise
    operation.succeed()
