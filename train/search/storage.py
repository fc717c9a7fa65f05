"""Where Optuna keeps a study: a database by its URL, SQLite in the folder if none is named.

Of Optuna's storages these alone keep values as text and numbers. Its journals can hold pickles,
which run code when they are read, and are not opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lehr.errors import FileRefused, ToolMissing, UsageError
from lehr.extras import needed_by

with needed_by("lehr search"):
    import optuna
    from optuna.exceptions import StorageInternalError
    from optuna.storages import RDBStorage
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from lehr.train.keys.search import ACCURACY, Search
from lehr.train.search.sampling import ByNumber, pruner

FILE = "study.db"
PATIENCE = 60
"""Seconds that a process waits for others to let SQLite go."""
_DIGEST = "lehr"
"""The study's attribute that holds the digest of recipe and space."""


def default_url(folder: Path) -> str:
    """Return the URL of the storage in a search's folder."""
    return f"sqlite:///{folder.absolute() / FILE}"


def shown_url(url: str) -> str:
    """Return a URL without its password.

    Raises:
        UsageError: when it is none.
    """
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        raise UsageError(
            f"storage {url!r} is no URL of a database; give one as sqlite:///study.db or "
            "postgresql://HOST/NAME"
        ) from None


def open_study(url: str, name: str, digest: str, search: Search, epochs: int) -> optuna.Study:
    """Open a study, or begin it.

    Args:
        url: of the storage.
        name: of the study in it.
        digest: of the recipe and the space, which must be the study's own.
        search: what the study draws, and wants.
        epochs: of phase A, as the recipe has them.

    Raises:
        UsageError: when there is no such storage, or the study is of another recipe or space.
        FileRefused: when its file is no database of Optuna's.
        ToolMissing: when its driver is not installed.
    """
    place = shown_url(url)
    waits = {"connect_args": {"timeout": PATIENCE}} if url.startswith("sqlite") else {}
    with storage_errors(url):
        try:
            storage = RDBStorage(url, engine_kwargs=waits)
        except ImportError as error:
            raise ToolMissing(
                f"storage {place} needs a driver that is not installed ({error.name}); "
                f"pip install {error.name}"
            ) from None
        except (NoSuchModuleError, ValueError):
            raise UsageError(
                f"storage {place} is of no database that Optuna knows; give one as "
                "sqlite:///study.db or postgresql://HOST/NAME"
            ) from None
        except RuntimeError as error:  # the tables are of another Optuna
            raise UsageError(
                f"storage {place} is of another Optuna: {error} or give another one"
            ) from None
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            load_if_exists=True,
            directions=[
                "maximize" if each == ACCURACY else "minimize" for each in search.objectives
            ],
            sampler=ByNumber(search),
            pruner=pruner(search, epochs),
        )
        known = study.user_attrs.get(_DIGEST)
        if known is None and not study.get_trials(deepcopy=False):
            study.set_user_attr(_DIGEST, digest)
        elif known != digest:
            raise UsageError(
                f"study {name} in {place} is of another recipe or space; give the one that it "
                "began with, or another folder by -o"
            )
        return study


@contextmanager
def storage_errors(url: str) -> Iterator[None]:
    """Turn what a database says into a sentence.

    Raises:
        UsageError: when it cannot be reached.
        FileRefused: when it is damaged.
    """
    try:
        yield
    except (DatabaseError, StorageInternalError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) else error
        if isinstance(cause, OperationalError):
            raise UsageError(
                f"storage {shown_url(url)} cannot be reached ({_reason(cause)}); start it, make "
                "its folder, or give another one by --storage"
            ) from None
        raise FileRefused(
            f"storage {shown_url(url)} is not as Optuna writes it ({_reason(cause)}); give another "
            "one by --storage, or remove it"
        ) from None


def _reason(error: BaseException | None) -> str:
    said = str(getattr(error, "orig", None) or error)
    return said.strip().partition("\n")[0]
