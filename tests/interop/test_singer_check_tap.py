"""singer-check-tap of singer-tools, the oldest judge of Singer taps, accepts what the tap writes.

It knows nothing of this project: it checks the order of messages, every record against the schema
that went before it, and counts.
"""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.interop.cells import SETS
from tests.interop.peers import SINGER_TOOLS, scripts_of, shell
from tests.interop.pipes import run_tap
from tests.tap.conftest import Output, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from contoso_sandbox.contoso import Contoso

_LINE = re.compile(
    r"^\| (?P<stream>\w+) +\| (?P<records>\d+) +\| (?P<schemas>\d+) +\|$", re.MULTILINE
)


def check(messages: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [scripts_of(SINGER_TOOLS) / "singer-check-tap"],
        input=messages,
        capture_output=True,
        env=shell(),
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def written(contoso: Contoso, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    scratch: Path = tmp_path_factory.mktemp("tap")
    return run_tap(settings_for(contoso, entities=list(SETS)), scratch)


def test_it_finds_nothing_wrong_and_counts_the_same_rows(written: bytes) -> None:
    verdict = check(written)
    assert verdict.returncode == 0, verdict.stderr.decode()
    summary = verdict.stderr.decode() + verdict.stdout.decode()
    assert "The output is valid." in summary
    output = Output(written.decode())
    counted = {m["stream"]: (int(m["records"]), int(m["schemas"])) for m in _LINE.finditer(summary)}
    assert counted == {name: (output.counts[name], 1) for name in SETS}
    states = len(output.of("STATE"))
    assert re.search(rf"^ +{states} state messages$", summary, re.MULTILINE)
    assert Counter(output.counts).total() > 1000


def test_it_does_find_a_record_that_breaks_its_schema(written: bytes) -> None:
    """A judge that accepts everything would prove nothing."""
    spoilt = re.sub(rb'"Rate":[0-9.]+', b'"Rate":"about 64"', written, count=1)
    assert spoilt != written
    assert check(spoilt).returncode != 0
