"""Storages open, or say why not; a journal survives being cut anywhere."""

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from agents.tuning.storages import check_workers, complete_url, open_storage
from tests.support.servers.postgres import free_port
from token_env import SettingError


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def opened(url, create=False):
    """A storage without connections that are to be closed, or what refuses it."""
    with open_storage(url, create) as storage:
        return storage


def journal(path, create=False):
    storage = opened(f"journal:{path}", create)
    return optuna.create_study(storage=storage, study_name="one", direction="maximize", load_if_exists=True)


def fill(path, trials):
    study = journal(path, create=True)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=trials)
    return study


def test_a_journal_cut_at_every_byte_of_its_last_record_keeps_every_finished_trial(tmp_path):
    path = tmp_path / "x.journal"
    fill(path, 3)
    whole = path.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    for length in range(last, len(whole)):  # every part of the last record, which ends trial 2
        path.write_bytes(whole[:length])
        study = journal(path)
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2 + [TrialState.RUNNING]
        study.tell(2, 0.5)
        assert [trial.state for trial in journal(path).trials] == [TrialState.COMPLETE] * 3


def test_a_writer_cuts_off_what_another_has_left(tmp_path):
    path = tmp_path / "x.journal"
    study = fill(path, 1)
    with path.open("ab") as file:
        file.write(b'{"op_code": 6, "worker_id": "killed while wri')
    study.add_trial(optuna.create_trial(value=1.0))  # opened before the line was torn
    assert [trial.value for trial in journal(path).trials][1:] == [1.0]
    assert b"killed" not in path.read_bytes()


def test_a_journal_is_never_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert complete_url(None, "x") == f"journal:{tmp_path}/runs/studies/x.journal"
    assert complete_url("journal:mine", "x") == f"journal:{tmp_path}/mine"
    assert complete_url("postgresql://me:pw@host/db", "x") == "postgresql+psycopg://me:pw@host/db"
    assert complete_url("grpc://host:13000", "x") == "grpc://host:13000"


@pytest.mark.parametrize("url", ["journal:", "mine.journal", "mysql://host/db", "http://host"])
def test_something_else_than_a_storage_is_refused(url):
    with pytest.raises(SettingError, match=r"unknown storage .* type --storage with one of journal:PATH"):
        complete_url(url, "x")


def test_sqlite_is_for_one_worker(tmp_path):
    url = f"sqlite:///{tmp_path}/x.db"
    check_workers(url, 1)
    with pytest.raises(SettingError, match=r"sqlite loses trials of 2 workers; type --workers 1"):
        check_workers(url, 2)
    with open_storage(url, create=True) as storage:
        assert optuna.create_study(storage=storage).trials == []


def test_what_is_not_there_is_not_made(tmp_path):
    for url in (f"journal:{tmp_path}/x.journal", f"sqlite:///{tmp_path}/x.db"):
        with pytest.raises(SettingError, match=r"there is no (journal|database)"):
            opened(url)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "letter"
    for text in ("Dear reader,\nnone of this is JSON.\n", "one line", '{"op_code":'):
        path.write_text(text)
        if "op_code" not in text:  # else it is the beginning of a first line, which is cut off
            with pytest.raises(SettingError, match=r"is not a study journal, or damaged"):
                opened(f"journal:{path}")
            assert path.read_text() == text
    opened(f"journal:{path}")
    assert path.read_text() == ""
    with pytest.raises(SettingError, match=r"cannot use the journal"):
        opened(f"journal:{path}/x", create=True)


def test_a_server_that_is_not_there_is_named_without_its_password(monkeypatch):
    monkeypatch.setattr("agents.tuning.storages.CONNECT_SECONDS", 1)
    port = free_port()
    with pytest.raises(SettingError, match=rf"cannot open .*:\*\*\*@127\.0\.0\.1:{port}/db: .*refused") as refused:
        opened(complete_url(f"postgresql://me:password1@127.0.0.1:{port}/db", "x"))
    assert "password1" not in str(refused.value)
    with pytest.raises(SettingError, match=r"no proxy answers at grpc://.* type python -m agents\.tune serve"):
        opened(f"grpc://127.0.0.1:{port}")
    with pytest.raises(SettingError, match=r"has no host or port; type --storage grpc://HOST:PORT"):
        opened("grpc://nothing")


def test_storages_without_a_place_are_refused():
    with pytest.raises(SettingError, match=r"has no file name; type --storage sqlite:///FILE"):
        opened("sqlite://")
    with pytest.raises(SettingError, match=r"invalid database URL"):
        opened(complete_url("postgresql://me:password@host:port/db", "x"))


def test_a_storage_that_goes_away_is_told_of(tmp_path):
    url = f"journal:{tmp_path}/x.journal"
    with (
        pytest.raises(SettingError, match=r"stopped responding: gone; finished trials are saved"),
        open_storage(url, create=True),
    ):
        raise StorageInternalError("gone")


def test_a_wrong_password_is_refused(postgres_url):
    with pytest.raises(SettingError, match=r"password authentication failed") as refused:
        opened(complete_url(postgres_url.replace("secret", "sesame"), "x"))
    assert "sesame" not in str(refused.value)
