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
from token_env.files import cut_torn_line

JOURNALS = Path("runs/studies")  # where journals are that nobody named
FORMS = "journal:PATH, postgresql://USER:PASSWORD@HOST/DATABASE, grpc://HOST:PORT, sqlite:///FILE"
CONNECT_SECONDS = 10  # for a server to answer
JOURNAL_BEGINS = b'{"op_code":'
NEEDS_MORE = "needs a package more; type pip install -c constraints.txt '.[studies]'."
LOCK_SECONDS = 10  # after which the lock of a process that was killed is taken away


class RepairingLock(JournalFileOpenLock):
    """Optuna's lock of a journal; whoever gets it cuts off what a crash has left of a line.

    A line that is begun and never ended would otherwise spoil the next one, and with it every later reading.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), grace_period=LOCK_SECONDS)
        self._path = path

    def acquire(self) -> bool:
        """Get the lock, and leave whole lines only."""
        acquired = super().acquire()
        with self._path.open("r+b") as file:
            cut_torn_line(file)
        return acquired


def complete_url(url: str | None, study: str) -> str:
    """The storage that is meant, in words that mean the same in any process and directory of this host.

    Args:
        url: what the user said; None: a journal of the study's own.
        study: its name.

    Raises:
        SettingError: something else than a storage.
    """
    kind, colon, rest = (url or f"journal:{JOURNALS / f'{study}.journal'}").partition(":")
    if kind == "journal" and rest:
        return f"journal:{Path(rest).expanduser().absolute()}"
    if kind in ("postgresql", "postgres"):
        return f"postgresql+psycopg:{rest}"
    if (kind in ("grpc", "sqlite") or kind.startswith("postgresql+")) and colon:
        return str(url)
    raise SettingError(f"unknown storage {url!r}; type --storage with one of {FORMS}.")


def check_workers(url: str, workers: int) -> None:
    """Refuse several workers where they would lose trials.

    Raises:
        SettingError: SQLite and more than one worker.
    """
    if url.startswith("sqlite:") and workers > 1:
        raise SettingError(
            f"sqlite loses trials of {workers} workers; type --workers 1, or leave --storage out: a journal takes any "
            "number on one machine, and postgresql://USER:PASSWORD@HOST/DATABASE on several."
        )


def of_the_storage(error: BaseException) -> bool:
    """Whether an error says that a storage does not answer, and nothing about what was asked."""
    of_grpc = any(kind.__name__ == "RpcError" for kind in type(error).__mro__)  # of a package that is optional
    return of_grpc or isinstance(error, (StorageInternalError, SQLAlchemyError))


@contextmanager
def open_storage(url: str, create: bool = False) -> Iterator[BaseStorage]:
    """The storage at a complete URL, until its connections are closed.

    Args:
        url: as `complete_url` gives it.
        create: whether a journal or an SQLite file is made that is not there.

    Raises:
        SettingError: it is not there, cannot be reached or read, does not answer any more, or needs a package that is
            not installed.
    """
    with _opened(url, create) as storage:
        try:
            yield storage
        except Exception as error:
            if not of_the_storage(error):
                raise
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise SettingError(
                f"the storage does not answer any more: {reason[0]}; what has ended is kept, the same command goes on."
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
            yield get_storage(database)  # which remembers trials that have ended
        finally:
            database.remove_session()
            database.engine.dispose()


def _journal(path: Path, create: bool) -> JournalStorage:
    if not create and not path.is_file():
        raise SettingError(f"there is no journal {str(path)!r}; type --storage with the study's.")
    lock = RepairingLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with path.open("rb") as file:  # nothing else is ever repaired
            if not JOURNAL_BEGINS.startswith(file.read(len(JOURNAL_BEGINS))):
                raise ValueError("it begins otherwise")
        lock.acquire()
        lock.release()
        return JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
    except OSError as error:
        raise SettingError(f"cannot use the journal {str(path)!r}: {error.strerror}; type --storage.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingError(f"{str(path)!r} is no journal of studies, or damaged: {error}.") from error


def _database(url: str, create: bool) -> RDBStorage:
    try:
        named = make_url(url)
    except (ArgumentError, ValueError):
        raise SettingError(f"that names no database; type --storage with one of {FORMS}.") from None
    shown = named.render_as_string(hide_password=True)
    is_file, file = named.get_backend_name() == "sqlite", named.database
    if is_file and not file:
        raise SettingError(f"{shown} names no file; type --storage sqlite:///FILE.")
    if is_file and file and not create and not Path(file).is_file():
        raise SettingError(f"there is no database {file!r}; type --storage with the study's.")
    options = {} if is_file else {"connect_args": {"connect_timeout": CONNECT_SECONDS}, "pool_pre_ping": True}
    try:
        return RDBStorage(url, engine_kwargs=options)
    except ImportError as error:
        raise SettingError(f"{shown} {NEEDS_MORE}") from error
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        hint = "is its directory there?" if is_file else "is it running, and the password right?"
        raise SettingError(f"cannot open {shown}: {reason}; {hint}") from None
    except RuntimeError as error:  # tables of another version of Optuna
        raise SettingError(f"cannot use {shown} with Optuna {optuna.__version__}: {error}") from None


def _proxy(url: str) -> GrpcStorageProxy:
    place = urlsplit(url)
    try:
        host, port = place.hostname, place.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise SettingError(f"{url!r} names no proxy; type --storage grpc://HOST:PORT.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            storage = GrpcStorageProxy(host=host, port=port)
        except ImportError as error:
            raise SettingError(f"{url} {NEEDS_MORE}") from error
    try:
        storage.wait_server_ready(timeout=CONNECT_SECONDS)
    except ConnectionError:
        storage.close()
        raise SettingError(
            f"no proxy answers at {url}; on its host, type python -m agents.tune serve --storage URL --port {port}."
        ) from None
    return storage
