"""Open the storage of studies: a journal file, PostgreSQL, Optuna's gRPC proxy, or SQLite for one worker."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from token_env.errors import SettingError
from token_env.files import drop_partial_line

JOURNAL_FOLDER = Path("runs/studies")  # folder of journals and pages without an explicit path
URL_FORMS = "journal:PATH, postgresql://USER:PASSWORD@HOST/DATABASE, grpc://HOST:PORT, sqlite:///FILE"
CONNECT_SECONDS = 10  # timeout of connecting to a server
JOURNAL_PREFIX = b'{"op_code":'
MISSING_PACKAGE = "needs a package that is not installed; type pip install -c constraints.txt '.[studies]'."
LOCK_GRACE_SECONDS = 10  # age at which the lock of a killed process is removed


class RepairingLock(JournalFileOpenLock):
    """Optuna's journal lock, which also removes an incomplete last line that a crash has left.

    Otherwise the next record would be appended to the incomplete line, and the journal could no longer be read.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), grace_period=LOCK_GRACE_SECONDS)
        self._path = path

    def acquire(self) -> bool:
        """Acquire the lock and remove an incomplete last line."""
        acquired = super().acquire()
        with self._path.open("r+b") as file:
            drop_partial_line(file)
        return acquired


def complete_url(url: str | None, study: str) -> str:
    """Return the storage URL with an absolute path or a database driver, valid in every process of this host.

    Args:
        url: URL from the command line; None for the study's own journal.
        study: Name of the study.

    Raises:
        SettingError: The URL is not a storage.
    """
    kind, colon, rest = (url or f"journal:{JOURNAL_FOLDER / f'{study}.journal'}").partition(":")
    if kind == "journal" and rest:
        return f"journal:{Path(rest).expanduser().absolute()}"
    if kind in ("postgresql", "postgres"):
        return f"postgresql+psycopg:{rest}"
    if (kind in ("grpc", "sqlite") or kind.startswith("postgresql+")) and colon:
        return str(url)
    raise SettingError(f"unknown storage {url!r}; type --storage with one of {URL_FORMS}.")


def check_workers(url: str, workers: int) -> None:
    """Reject several workers on SQLite, which would lose trials.

    Raises:
        SettingError: SQLite and more than one worker.
    """
    if url.startswith("sqlite:") and workers > 1:
        raise SettingError(
            f"sqlite loses trials of {workers} workers; type --workers 1, or omit --storage: a journal takes any "
            "number of workers on one machine, and postgresql://USER:PASSWORD@HOST/DATABASE on several."
        )


def is_storage_error(error: BaseException) -> bool:
    """Return whether an error means that the storage does not respond."""
    is_grpc_error = any(kind.__name__ == "RpcError" for kind in type(error).__mro__)  # grpc is optional: no import
    return is_grpc_error or isinstance(error, (StorageInternalError, SQLAlchemyError))


@contextmanager
def open_storage(url: str, create: bool = False) -> Iterator[BaseStorage]:
    """Open the storage at a complete URL, and close its connections on exit.

    Args:
        url: URL from `complete_url`.
        create: Whether to create a missing journal or SQLite file.

    Raises:
        SettingError: The storage is missing, unreachable, unreadable, stops responding, or needs a package that is
            not installed.
    """
    with _opened(url, create) as storage:
        try:
            yield storage
        except Exception as error:
            if not is_storage_error(error):
                raise
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise SettingError(
                f"the storage stopped responding: {reason[0]}; finished trials are saved, repeat the command to resume."
            ) from error


@contextmanager
def _opened(url: str, create: bool) -> Iterator[BaseStorage]:
    kind, _, rest = url.partition(":")
    if kind == "journal":
        yield _journal(Path(rest), create)
    elif kind == "grpc":
        proxy = _proxy(url)
        try:
            yield proxy
        finally:
            proxy.close()
    else:
        database = _database(url, create)
        try:
            yield get_storage(database)  # adds a cache of finished trials
        finally:
            database.remove_session()
            database.engine.dispose()


def _journal(path: Path, create: bool) -> JournalStorage:
    if not create and not path.is_file():
        raise SettingError(f"there is no journal {str(path)!r}; type --storage with the journal of the study.")
    lock = RepairingLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with path.open("rb") as file:  # the lock truncates lines, so only journals may reach it
            if not JOURNAL_PREFIX.startswith(file.read(len(JOURNAL_PREFIX))):
                raise ValueError(f"it does not start with {JOURNAL_PREFIX.decode()}")
        lock.acquire()
        lock.release()
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except OSError as error:
        raise SettingError(
            f"cannot use the journal {str(path)!r}: {error.strerror}; type --storage with another path."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{str(path)!r} is not a study journal, or damaged: {error}.") from error


def _database(url: str, create: bool) -> RDBStorage:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingError(f"invalid database URL; type --storage with one of {URL_FORMS}.") from None
    masked_url = parsed.render_as_string(hide_password=True)
    is_file, file = parsed.get_backend_name() == "sqlite", parsed.database
    if is_file and not file:
        raise SettingError(f"{masked_url} has no file name; type --storage sqlite:///FILE.")
    if is_file and file and not create and not Path(file).is_file():
        raise SettingError(f"there is no database {file!r}; type --storage with the database of the study.")
    options = {} if is_file else {"connect_args": {"connect_timeout": CONNECT_SECONDS}, "pool_pre_ping": True}
    try:
        return RDBStorage(url, engine_kwargs=options)
    except ImportError as error:
        raise SettingError(f"{masked_url} {MISSING_PACKAGE}") from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        hint = "does its directory exist?" if is_file else "is the server running, and the password right?"
        raise SettingError(f"cannot open {masked_url}: {reason}; {hint}") from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise SettingError(f"cannot use {masked_url} with Optuna {optuna.__version__}: {error}") from None


def _proxy(url: str) -> GrpcStorageProxy:
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise SettingError(f"{url!r} has no host or port; type --storage grpc://HOST:PORT.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            storage = GrpcStorageProxy(host=host, port=port)
        except ImportError as error:
            raise SettingError(f"{url} {MISSING_PACKAGE}") from error
    try:
        storage.wait_server_ready(timeout=CONNECT_SECONDS)
    except ConnectionError:
        storage.close()
        raise SettingError(
            f"no proxy answers at {url}; on its host, type python -m agents.tune serve --storage URL --port {port}."
        ) from None
    return storage
