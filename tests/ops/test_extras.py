"""Commands whose packages are not installed say what to install."""

from __future__ import annotations

import pytest

from pipeline_core.errors import ConfigError
from pipeline_ops.extras import needs_extra


def test_a_missing_package_is_told_with_the_extra_that_brings_it() -> None:
    install = r"pip install 'pipeline-ops\[preview\]'"
    with pytest.raises(ConfigError, match=install) as told, needs_extra("preview"):
        import no_such_package_anywhere  # type: ignore[import-not-found]  # noqa: F401, PLC0415
    assert "needs the package no_such_package_anywhere" in str(told.value)
