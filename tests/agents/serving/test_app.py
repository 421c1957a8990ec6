"""What the HTTP interface answers, and what it refuses with which code and sentence."""

import json
import time

import numpy as np
import pytest

from agents.evaluation.deployment_log import read_log
from agents.serving.limits import Limits
from tests.agents.serving.conftest import TOKEN

AUTHORIZED = {"authorization": f"Bearer {TOKEN}"}


def decisions(tmp_path, period=1, kind="decisions", folder="serving"):
    path = tmp_path / folder / f"{kind}-{period:04}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_an_answer_has_words_and_numbers_and_is_logged_once(service_of, client_of, tmp_path):
    service = service_of("plain", "other", share_b=0.5)
    client = client_of(service)
    answer = client.post("/v1/say", json={"problem": 3, "request": "one"}).json()
    assert answer["variant"] == service.live.deployment.variant_of("one")
    assert answer["model"] == service.live.deployment.models[answer["variant"]].checksum
    language = service.live.deployment.dynamics.language
    assert answer["words"] == [language.surface[token] for token in answer["tokens"]]
    assert {len(answer[name]) for name in ("message", "tokens", "closeness", "adequacy", "surprisal")} == {8}
    assert answer["milliseconds"] > 0
    (line,) = decisions(tmp_path)
    assert (line["request"], line["problem"], line["tokens"]) == ("one", 3, answer["tokens"])
    assert line["return"] == pytest.approx(answer["return"], abs=1e-4)
    text = client.post("/v1/say", json={"text": " ".join(answer["message"])}).json()
    assert text["message"] == answer["message"]
    assert len(decisions(tmp_path)) == 2


def test_a_log_of_a_service_gives_a_verdict(service_of, client_of, tmp_path):
    client = client_of(service_of("plain", "other", share_b=0.5))
    answers = [client.post("/v1/say", json={"problem": number}).json() for number in range(20)]
    log = read_log(tmp_path / "serving" / "decisions-0001.jsonl")
    assert (len(log.a.returns) + len(log.b.returns), log.skipped_lines, log.share_b) == (20, "", 0.5)
    assert log.b.returns.sum() == pytest.approx(
        sum(answer["return"] for answer in answers if answer["variant"] == "B"), abs=1e-3
    )


def test_a_pinned_variant_answers_and_is_not_logged(service_of, client_of, tmp_path):
    client = client_of(service_of("plain", "other"))
    a, b = (client.post("/v1/say", json={"problem": 1, "variant": variant}).json() for variant in "AB")
    assert (a["variant"], b["variant"]) == ("A", "B")
    assert a["model"] != b["model"]
    assert decisions(tmp_path) == []


@pytest.mark.parametrize("kind", ["plain", "masked", "recurrent", "tokens"])
def test_act_chooses_what_say_chooses_for_whoever_holds_the_episode(service_of, client_of, kind):
    service = service_of(kind)
    client = client_of(service)
    dynamics, model = service.live.deployment.dynamics, service.live.deployment.models["A"]
    problems = dynamics.problems.draw(np.arange(3))
    state, memory, tokens = dynamics.initial(problems), {}, []
    for _ in range(dynamics.task.max_steps):
        body = {"observations": dynamics.observe(problems, state).tolist(), "request": "r", **memory}
        body |= {"masks": dynamics.legal(state).tolist()} if model.takes_masks else {}
        answer = client.post("/v1/act", json=body).json()
        tokens.append(answer["tokens"])
        memory = {name: answer[name] for name in ("hidden", "cell")} if model.recurrent else {}
        state = dynamics.transition(problems, state, np.array(answer["tokens"])).next_state
    said = [client.post("/v1/say", json={"problem": number}).json()["tokens"] for number in range(3)]
    assert np.array(tokens).T.tolist() == said


REFUSED = [
    ("say", {}, 422, "exactly one of text, meanings and problem"),
    ("say", {"problem": 1, "text": "a"}, 422, "exactly one of text, meanings and problem"),
    ("say", {"problem": -1}, 422, "problem: Input should be greater than or equal to 0"),
    ("say", {"problem": 2**62}, 422, "problem: Input should be less than"),
    ("say", {"problem": True}, 422, "problem: "),
    ("say", {"problem": 1, "path": "/etc/passwd"}, 422, "path: Extra inputs"),
    ("say", {"problem": 1, "request": "x" * 201}, 422, "request: String should have at most 200"),
    ("say", {"problem": 1, "variant": "B"}, 422, "there is no model B"),
    ("say", {"text": "xylofone"}, 422, "not among the 64 words"),
    ("say", {"meanings": [[0.0] * 16]}, 422, "not all 0"),
    ("act", {"observations": []}, 422, "observations: List should have at least 1"),
    ("act", {"observations": [[0.0]]}, 422, "an observation has 51 numbers."),
    (
        "act",
        {"observations": [[0.0] * 50 + [1e308]]},
        422,
        "number 50 of observation 0 is 1e+308; it must be from 0 to 1.",
    ),
    ("act", {"observations": [[0.0] * 51] * 1001}, 413, "1,001 observations came in one request; at most 1,000"),
]


@pytest.fixture(scope="module")
def plain_client(exported, tmp_path_factory):
    from starlette.testclient import TestClient

    from agents.serving.app import make_app
    from agents.serving.player import Batching
    from agents.serving.rollout import Folder, ModelStore, Stage
    from agents.serving.service import Service

    place = Folder(tmp_path_factory.mktemp("service"))
    place.make()
    store = ModelStore([exported["plain"][1]], place.models)
    service = Service(store, place, Stage(a=store.read(exported["plain"][1]).checksum), Batching())
    with TestClient(make_app(service, Limits()), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(("path", "body", "code", "sentence"), REFUSED)
def test_a_body_that_cannot_be_used_is_refused_with_a_sentence(plain_client, path, body, code, sentence):
    response = plain_client.post(f"/v1/{path}", json=body)
    assert response.status_code == code
    assert sentence in response.json()["detail"]
    assert len(response.json()["detail"]) < 2500


HOSTILE = [
    (b"", 422), (b"{", 422), (b"[]", 422), (b"null", 422), (b'{"problem": NaN}', 422), (b'{"problem": 1e999}', 422),
    (b'{"problem": ' + b"9" * 5000 + b"}", 400), (b"[" * 100_000, 400), (b'{"a":' * 50_000, 400),
    (b'{"text": "\\ud800"}', 422), (b'{"request": "\\ud800", "problem": 1}', 422), (b"\xff\xfe", 422),
    (b'{"meanings": [[NaN]]}', 422), (b'{"meanings": [[1e999]]}', 422), (b'{"text": {"a": 1}}', 422),
    (b'{"problem": "1"}', 422), (b'{"problem": 1.5}', 422),
    (b'{"meanings": ' + b"[[1]," * 1000 + b"[1]" + b"]" * 1001 + b"}", 400),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code"), HOSTILE)
@pytest.mark.parametrize("path", ["/v1/say", "/v1/act"])
def test_hostile_bodies_get_an_answer_of_theirs(plain_client, path, body, code):
    response = plain_client.post(path, content=body, headers={"content-type": "application/json"})
    assert response.status_code in {400, 422}
    assert path != "/v1/say" or response.status_code == code, response.text
    assert len(response.json()["detail"]) < 2500


def test_a_body_beyond_the_limit_is_refused_whether_it_says_its_length_or_not(service_of, client_of):
    client = client_of(service_of("plain"), Limits(body_bytes=1000))
    for content in (b"x" * 1001, iter([b"x" * 600] * 2)):
        response = client.post("/v1/say", content=content)
        assert (response.status_code, response.json()["detail"]) == (413, "the body has more than 1,000 bytes.")
    assert client.post("/v1/say", json={"problem": 1}).status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(service_of, client_of, monkeypatch):
    service = service_of("plain")
    client = client_of(service, Limits(seconds=0.2))
    logits = service.live.deployment.models["A"].logits
    with monkeypatch.context() as patch:
        patch.setattr(
            service.live.deployment.models["A"], "logits", lambda *inputs: (time.sleep(0.1), logits(*inputs))[1]
        )
        response = client.post("/v1/say", json={"problem": 1})
    assert (response.status_code, response.json()["detail"]) == (504, "not answered within 0.2 seconds.")


def test_metrics_count_requests_by_variant_and_code(service_of, client_of):
    client = client_of(service_of("plain"))
    for _ in range(3):
        client.post("/v1/say", json={"problem": 1})
    client.post("/v1/say", json={})
    client.get("/a/path/of/nobody")
    text = client.get("/metrics").text
    assert 'tokentask_requests_total{code="200",path="/v1/say",variant="A"} 3.0' in text
    assert 'tokentask_requests_total{code="422",path="/v1/say",variant=""} 1.0' in text
    assert 'tokentask_requests_total{code="404",path="other",variant=""} 1.0' in text
    assert 'tokentask_batch_rows_count{variant="A"} 24.0' in text
    assert 'tokentask_latency_seconds_count{path="/v1/say",variant="A"} 3.0' in text


def test_health_is_apart_from_readiness(service_of, client_of):
    service = service_of("plain")
    client = client_of(service)
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 200)
    service.ready = False
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 503)


def test_a_log_that_cannot_be_written_is_503_and_nothing_is_answered(service_of, client_of, tmp_path):
    service = service_of("plain")
    client = client_of(service)
    service.live.decisions.path = tmp_path / "none" / "log.jsonl"
    response = client.post("/v1/say", json={"problem": 1})
    assert response.status_code == 503
    assert "the log or the state cannot be written" in response.json()["detail"]


def test_the_page_loads_nothing_and_says_so(service_of, client_of):
    client = client_of(service_of("plain"))
    response = client.get("/")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "http" not in response.text.replace("httpx", "")


def test_the_description_names_every_path_and_refusal(service_of, client_of):
    description = client_of(service_of("plain")).get("/openapi.json").json()
    assert set(description["paths"]) == {"/", "/healthz", "/readyz", "/metrics", "/v1/say", "/v1/act", "/v1/rollout"}
    assert set(description["paths"]["/v1/say"]["post"]["responses"]) == {
        "200",
        "400",
        "408",
        "413",
        "422",
        "503",
        "504",
    }
