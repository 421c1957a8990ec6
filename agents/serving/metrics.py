"""Count requests, and measure latency, batches and queue, in Prometheus' format."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # of the latency histogram
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)  # of the histogram of rows in a call


class Metrics:
    """The metrics of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # processor time and memory, on Linux
        self.requests = Counter("tokentask_requests", "Requests.", ["path", "variant", "code"], registry=self.registry)
        self.latency = Histogram(
            "tokentask_latency_seconds",
            "Time from a request to its answer.",
            ["path", "variant"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.rows = Histogram(
            "tokentask_batch_rows", "Rows in a call of a model.", ["variant"], buckets=ROWS, registry=self.registry
        )
        self.queue = Gauge("tokentask_queue", "Requests that wait for a row of a model.", registry=self.registry)
        self.open = Gauge("tokentask_open_requests", "Requests that are being answered.", registry=self.registry)
        self.shadow_dropped = Counter(
            "tokentask_shadow_dropped", "Requests without an answer of the shadow.", registry=self.registry
        )

    def text(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self.registry)
