"""Ask a service of two models, and learn from its log which model is better; any HTTP client in any language will do.

    python -m agents.serve A.onnx B.onnx --share-b 0.5
    python -m examples.ab_deployment http://127.0.0.1:8000 --requests 1000

The service decides by the id of a request which model answers it, and logs the answer. Then
`python -m agents.evaluate --log serving/decisions-0001.jsonl` tests which model is better. This program needs nothing
but Python.
"""

import argparse
import json
import random
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit


class Client:
    """A connection to a service of `python -m agents.serve`, as a context manager that closes it.

    Args:
        url: Address of the service, such as "http://127.0.0.1:8000".
    """

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=30)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a body as JSON and return the answer.

        Raises:
            ValueError: The service refuses it; the message is the service's sentence.
            OSError: The service cannot be reached.
        """
        self._connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status != 200:
            raise ValueError(answer["detail"])
        return answer

    def say(self, request: str, problem: int) -> dict[str, Any]:
        """Return the answer to a problem: its tokens, words, return, and the model that gave it.

        Args:
            request: Id of the request; the same id is answered by the same model.
            problem: Id of a problem of the test split.
        """
        return self.post("/v1/say", {"request": request, "problem": problem})


def main(arguments: list[str] | None = None) -> None:
    """Send requests for held-out problems, and print how many each model has answered."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.ab_deployment", description="Ask a service of two models."
    )
    parser.add_argument("url", metavar="URL", help="address of the service, such as http://127.0.0.1:8000")
    parser.add_argument("--requests", type=int, default=1000, help="number of requests (default: 1000)")
    parser.add_argument("--seed", type=int, help="seed of the requests (default: new requests every time)")
    options = parser.parse_args(arguments)
    if options.requests < 1 or not options.url.startswith("http://"):
        parser.error("--requests must be at least 1, and URL begin with http://.")
    generator, returns = random.Random(options.seed), dict[str, list[float]]()
    try:
        with Client(options.url) as client:
            for _ in range(options.requests):
                answer = client.say(f"{generator.getrandbits(64):016x}", generator.getrandbits(40))
                returns.setdefault(answer["variant"], []).append(answer["return"])
    except (ValueError, OSError, HTTPException) as error:
        parser.error(f"{options.url} does not answer: {error}")
    for variant, earned in sorted(returns.items()):
        print(f"{variant}: {len(earned):,} answers, mean return {sum(earned) / len(earned):+.3f}")


if __name__ == "__main__":
    main()
