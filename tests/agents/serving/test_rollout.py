"""Shares change, models are loaded, promoted and rolled back while requests are answered; a restart goes on."""

import asyncio
import os
import shutil
import time

import pytest
from scipy import stats

from agents.serving.bodies import SayRequest
from agents.serving.rollout import Change
from tests.agents.serving.conftest import TOKEN
from tests.agents.serving.test_app import decisions
from token_env.errors import SettingError

REQUESTS = 20_000 if os.environ.get("SOAK") else 600
AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


def change(client, **body):
    return client.post("/v1/rollout", json=body, headers=AUTHORIZED)


@pytest.fixture
def deployed(service_of, client_of):
    """A service of two models and its client."""
    service = service_of("plain", "other", share_b=0.5)
    return service, client_of(service)


def test_changes_need_the_token(service_of, client_of):
    service = service_of("plain", "other")
    client = client_of(service)
    share = {"action": "share", "share_b": 0.5}
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Bearer ä".encode()}):
        response = client.post("/v1/rollout", json=share, headers=headers)
        assert (response.status_code, service.live.rollout.current.share_b) == (401, 0.0)
    assert change(client, **share).json()["share_b"] == 0.5
    without = client_of(service, token=None)
    response = change(without, action="rollback")
    assert (response.status_code, service.live.rollout.period) == (403, 2)


def test_a_share_is_changed_and_rolled_back_each_with_its_log(deployed, tmp_path):
    client = deployed[1]
    client.post("/v1/say", json={"problem": 1})
    assert change(client, action="share", share_b=1.0).json()["share_b"] == 1.0
    assert client.post("/v1/say", json={"problem": 1}).json()["variant"] == "B"
    assert change(client, action="rollback").json()["share_b"] == 0.5
    client.post("/v1/say", json={"problem": 1})
    shares = [[line["share_b"] for line in decisions(tmp_path, period)] for period in (1, 2, 3)]
    assert shares == [[0.5], [1.0], [0.5]]


def test_a_promoted_model_answers_everything_until_it_is_rolled_back(deployed):
    service, client = deployed
    a, b = service.live.rollout.current.a, service.live.rollout.current.b
    status = change(client, action="promote").json()
    assert (status["a"], status["b"], status["share_b"]) == (b, None, 0.0)
    assert {client.post("/v1/say", json={"problem": number}).json()["model"] for number in range(9)} == {b}
    status = change(client, action="rollback").json()
    assert (status["a"], status["b"], status["share_b"]) == (a, b, 0.5)


def test_a_model_is_loaded_by_its_checksum_from_the_folder_alone(service_of, client_of, exported, models, tmp_path):
    service = service_of("plain")
    client = client_of(service)
    masked = models("masked").checksum
    response = change(client, action="load", model=masked)
    assert (response.status_code, service.live.rollout.period) == (422, 1)
    assert "has the SHA-256" in response.json()["detail"]
    shutil.copy(exported["masked"][1], tmp_path / "serving" / "models" / "new.onnx")
    assert change(client, action="load", model=masked).json()["b"] == masked
    assert change(client, action="share", share_b=1.0).status_code == 200
    assert client.post("/v1/say", json={"problem": 1}).json()["model"] == masked


def test_a_model_that_cannot_be_used_changes_nothing(service_of, client_of, exported, models, tmp_path):
    service = service_of("plain")
    client = client_of(service)
    shutil.copy(exported["english"][1], tmp_path / "serving" / "models" / "new.onnx")
    response = change(client, action="load", model=models("english").checksum)
    assert (response.status_code, service.live.rollout.period) == (422, 1)
    assert "different languages" in response.json()["detail"]
    assert client.post("/v1/say", json={"problem": 1}).status_code == 200


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"action": "share"}, "share_b belongs to the action share"),
        ({"action": "promote", "share_b": 0.1}, "share_b belongs to the action share"),
        ({"action": "load"}, "model belongs to the action load"),
        ({"action": "load", "model": "../../etc/passwd"}, "String should match pattern"),
        ({"action": "rollback"}, "there is nothing to roll back"),
        ({"action": "promote"}, "there is no model B to promote"),
        ({"action": "share", "share_b": 2}, "less than or equal to 1"),
        ({"action": "restart"}, "Input should be 'share', 'shadow', 'promote', 'rollback' or 'load'"),
    ],
)
def test_a_change_that_does_not_fit_is_refused(service_of, client_of, body, sentence):
    response = change(client_of(service_of("plain")), **body)
    assert response.status_code == 422
    assert sentence in response.json()["detail"]


def test_the_shadow_answers_everything_and_nobody_sees_it(deployed, tmp_path):
    service, client = deployed
    assert change(client, action="shadow").json()["shadow"]
    answers = [client.post("/v1/say", json={"problem": number}).json() for number in range(10)]
    assert {answer["variant"] for answer in answers} == {"A"}
    refused = client.post("/v1/say", json={"problem": 1, "variant": "B"})
    assert (refused.status_code, "never returned" in refused.json()["detail"]) == (422, True)
    asyncio.run(service.finish())
    shown, hidden = decisions(tmp_path, 2), decisions(tmp_path, 2, "shadow")
    assert [line["request"] for line in shown] == [answer["request"] for answer in answers]
    assert {line["request"] for line in hidden} == {line["request"] for line in shown}
    assert {line["model"] for line in hidden} == {service.live.rollout.current.b}
    assert len(hidden) == 10


def test_a_shadow_that_is_behind_is_left_out_and_counted(service_of, client_of):
    service = service_of("plain", "other", shadow=True)
    service._max_shadow = 0
    client = client_of(service)
    assert client.post("/v1/say", json={"problem": 1}).status_code == 200
    assert "tokentask_shadow_dropped_total 1.0" in client.get("/metrics").text


def test_the_state_survives_a_restart_and_another_command_starts_anew(service_of, client_of, deployed):
    service, client = deployed
    change(client, action="share", share_b=0.25)
    change(client, action="promote")
    again = service_of("plain", "other", share_b=0.5)
    assert again.live.rollout == service.live.rollout
    asyncio.run(again.change(Change(action="rollback")))
    assert again.live.rollout.current.share_b == 0.25
    other = service_of("plain", "other", share_b=0.75)
    assert (other.live.rollout.current.share_b, other.live.rollout.earlier) == (0.75, ())
    assert other.live.rollout.period == again.live.rollout.period + 1


def test_a_damaged_state_is_refused(service_of, tmp_path):
    service_of("plain")
    (tmp_path / "serving" / "state.json").write_text('{"format": 1')
    with pytest.raises(SettingError, match="is damaged; remove it to start anew"):
        service_of("plain")


def test_a_state_that_cannot_be_written_changes_nothing(deployed, tmp_path):
    service, client = deployed
    service._folder = service._folder._replace(path=tmp_path / "none")
    response = change(client, action="promote")
    assert (response.status_code, service.live.rollout.period) == (503, 1)


def test_changes_under_load_fail_no_request_and_each_is_logged_once(service_of, exported, models, tmp_path, answers):
    """Share changed twice, a model loaded and promoted, and a rollback, while many requests are answered."""
    service = service_of("plain", "other", share_b=0.5)
    shutil.copy(exported["masked"][1], tmp_path / "serving" / "models" / "new.onnx")
    changes = [
        Change(action="share", share_b=0.1),
        Change(action="load", model=models("masked").checksum),
        Change(action="share", share_b=0.9),
        Change(action="promote"),
        Change(action="rollback"),
    ]

    answered = 0

    async def say(number):
        nonlocal answered
        answered += 1
        return await service.say(SayRequest(problem=number, request=f"request {number}"), time.perf_counter())

    async def client(first):
        found = []
        number = first
        while not over.is_set() or len(found) < REQUESTS / 10:
            found.append(await say(number))
            number += 10
        return found

    async def operator():
        for one in changes:
            until = answered + REQUESTS / 8
            while answered < until:
                await asyncio.sleep(0.01)
            await service.change(one)
        over.set()

    async def load():
        parts, _ = await asyncio.gather(asyncio.gather(*map(client, range(10))), operator())
        return [answer for part in parts for answer in part]

    over = asyncio.Event()
    found = answers(load())
    lines = [line for period in range(1, 7) for line in decisions(tmp_path, period)]
    assert sorted(line["request"] for line in lines) == sorted(answer["request"] for answer in found)
    assert {(line["request"], line["model"]) for line in lines} == {(one["request"], one["model"]) for one in found}
    for period in range(1, 7):
        of_period = decisions(tmp_path, period)
        (share,) = {line["share_b"] for line in of_period}
        by_b = sum(line["variant"] == "B" for line in of_period)
        assert stats.binomtest(by_b, len(of_period), share).pvalue >= 0.001
    assert len(found) >= REQUESTS
