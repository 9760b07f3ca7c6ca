"""What Prometheus scrapes: the samples of this machine, and of whatever else is collected, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import version

from prometheus_client import Metric, exposition
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from worker import instruments, metric_files
from worker.policies import Policies

_OPEN = "application/openmetrics-text"


class Machine:
    """A collector: what the processes of this machine counted, which version they are, and their policy."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        instruments.instruments()  # or what nobody has counted yet would not be there

    def collect(self) -> Iterable[Metric]:
        places = metric_files.shared()
        counted = metric_files.Shared(places) if places else instruments.instruments().registry
        yield from counted.collect()
        yield gauge("build_info", {(version("lazaretto"),): 1})
        yield gauge("policy_refused", {(): float(self._policies.is_refused)})


class Together:
    """A collector: several as one."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterable[Metric]:
        for each in self._collectors:
            yield from each.collect()


def gauge(name: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    """One of `instruments.STANDING`, by the values of its labels."""
    meaning, labels = instruments.STANDING[name]
    family = GaugeMetricFamily(f"{instruments.PREFIX}_{name}", meaning, labels=labels)
    for labelled, value in values.items():
        family.add_metric(labelled, value)
    return family


def is_open(accept: str) -> bool:
    """Does this `Accept` name OpenMetrics? Prometheus asks for it by itself since 2.5."""
    return _OPEN in accept.lower()


def page(collector: Collector, as_open: bool) -> bytes:
    """Everything, in the format of OpenMetrics 1.0 or in Prometheus' own."""
    text: bytes = openmetrics.generate_latest(collector) if as_open else exposition.generate_latest(collector)
    return text


def content_type(as_open: bool) -> str:
    """The header that goes with a page."""
    return openmetrics.CONTENT_TYPE_LATEST if as_open else exposition.CONTENT_TYPE_PLAIN_0_0_4
