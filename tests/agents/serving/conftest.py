"""Exported models that were never trained, and services of them."""

import asyncio

import pytest
from starlette.testclient import TestClient

import agents
from agents.exports.onnx_file import onnx_bytes
from agents.serving.app import make_app
from agents.serving.limits import Limits
from agents.serving.model import Model
from agents.serving.player import Batching
from agents.serving.rollout import Folder, ModelStore, Stage
from agents.serving.service import Service
from tests.support.models import make_run, moved

TOKEN = "a secret"
KINDS = {
    "plain": {"head": "stock"},
    "other": {"head": "stock", "seed": 1},
    "masked": {"algorithm": "maskable-ppo", "head": "stock", "env": {"vocab_size": 100, "max_steps": 12}},
    "recurrent": {"algorithm": "recurrent-ppo", "head": "fast"},
    "tokens": {"head": "fast", "env": {"observation": "tokens"}},
    "english": {"head": "stock", "env": {"language": "english"}},
}


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """By kind an agent and the file of its model, made at the first use."""
    folder = tmp_path_factory.mktemp("exported")

    class Exported(dict):
        def __missing__(self, kind):
            agent = moved(agents.load(make_run(folder / kind, **KINDS[kind])))
            if kind == "other":  # so that its file is another
                agent.policy.action_net.weight.data.mul_(1.5)
            path = folder / f"{kind}.onnx"
            path.write_bytes(onnx_bytes(agent))
            self[kind] = agent, path
            return self[kind]

    return Exported()


@pytest.fixture
def models(exported):
    """Models by kind."""
    return lambda kind: Model(exported[kind][1].read_bytes(), kind)


@pytest.fixture
def service_of(exported, tmp_path):
    """A service of one or two kinds, in the folder "serving"."""

    def make(*kinds, folder="serving", batching=Batching(), **split):  # noqa: B008  # it is immutable
        place = Folder(tmp_path / folder)
        place.make()
        store = ModelStore([exported[kind][1] for kind in kinds], place.models)
        checksums = [store.read(exported[kind][1]).checksum for kind in kinds]
        stage = Stage(a=checksums[0], b=checksums[1] if len(checksums) > 1 else None, **split)
        return Service(store, place, stage, batching)

    return make


@pytest.fixture
def client_of():
    """A client of a service, without a network."""
    clients = []

    def make(service, limits=Limits(), token=TOKEN):  # noqa: B008  # it is immutable
        client = TestClient(make_app(service, limits, token), raise_server_exceptions=False)
        clients.append(client.__enter__())
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def answers():
    """What a coroutine returns."""
    return lambda coroutine: asyncio.run(coroutine)
