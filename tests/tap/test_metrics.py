"""The SDK's metrics, which Meltano and others read from the log."""

from __future__ import annotations

import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from singer_sdk.metrics import Point
from tests.tap.conftest import Output, settings_for

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from contoso_sandbox.contoso import Contoso


def test_records_requests_and_time_are_measured_for_each_stream(
    contoso: Contoso, run_tap: Callable[..., Output], caplog: pytest.LogCaptureFixture
) -> None:
    names = ["VendTransBiEntities", "MainAccounts"]
    with caplog.at_level(logging.INFO, logger="singer_sdk.metrics"):
        output = run_tap(settings_for(contoso, entities=names, companies=["usmf", "demf"]))
    points: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
    for record in caplog.records:
        if isinstance(record.args, tuple) and isinstance(record.args[0], Point):
            point: Any = record.args[0]
            points[point.metric.value, point.tags["stream"]].append(point)
    for name in names:
        assert sum(p.value for p in points["record_count", name]) == output.counts[name] > 0
        (duration,) = points["sync_duration", name]
        assert duration.value > 0
        assert duration.tags["status"] == "succeeded"
        (requests,) = points["http_request_count", name]
        assert requests.value > 0
        assert requests.tags["endpoint"] == "/data"
