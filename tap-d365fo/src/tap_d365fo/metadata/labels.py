"""The texts of labels, for the titles in schemas.

Each label is a request of its own, so what was learnt is kept on disk per language. A label that
does not come is no reason for a run to fail.

Source: services-home-page.md of Microsoft's F&O documentation
(``/metadata/Labels(Id='@SYS14680',Language='en-us')``).
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from pipeline_core.errors import PipelineError, TransientError
from tap_d365fo.access.client import NotFoundError
from tap_d365fo.metadata.cache import keep_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tap_d365fo.metadata.access import Access

_FORMAT = 1

#: Labels change with releases of the application.
_MAX_AGE_S = 30 * 86400

_logger = logging.getLogger("tap-d365fo.labels")


class _Label(msgspec.Struct):
    """A text, or None for a label that the environment does not have."""

    text: str | None
    fetched_at: datetime


class _Kept(msgspec.Struct):
    format: int
    labels: dict[str, _Label]


class Labels:
    """Label texts of one environment in one language."""

    def __init__(
        self,
        access: Access,
        language: str,
        *,
        folder: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Ask through ``access``, and keep what was learnt in ``folder``."""
        self._access = access
        self._language = language
        slug = "".join(c if c.isalnum() else "_" for c in language.lower())[:20]
        self._file = folder / f"labels-{slug}.json" if folder else None
        self._now = now
        self._known: dict[str, _Label] | None = None
        self._failed = False

    def known(self, label_ids: Iterable[str]) -> dict[str, str]:
        """Texts of those labels that are known without asking."""
        labels = self._load()
        found = {i: labels[i].text for i in label_ids if i in labels}
        return {label_id: text for label_id, text in found.items() if text is not None}

    def resolve(self, label_ids: Iterable[str]) -> dict[str, str]:
        """Texts of the labels that the environment has; it is asked for what is not known."""
        wanted = sorted(set(label_ids))
        labels = self._load()
        missing = [label_id for label_id in wanted if label_id not in labels]
        if missing and not self._failed:
            self._fetch(missing)
        return self.known(wanted)

    def _fetch(self, label_ids: list[str]) -> None:
        labels = self._load()
        before = len(labels)
        with ThreadPoolExecutor(self._access.threads) as pool:
            answers = [(label_id, pool.submit(self._ask, label_id)) for label_id in label_ids]
            for label_id, answer in answers:
                try:
                    text = answer.result()
                except PipelineError as error:
                    pool.shutdown(wait=False, cancel_futures=True)
                    _logger.warning(
                        "labels are left out, for the service does not answer: %s", error
                    )
                    break
                labels[label_id] = _Label(text, self._now())
        if len(labels) > before:
            self._keep()

    def _ask(self, label_id: str) -> str | None:
        """The text of one label; after one that failed, no other is asked for."""
        if self._failed:
            message = "another label could not be had"
            raise TransientError(message)
        try:
            return self._text(label_id)
        except PipelineError:
            self._failed = True
            raise

    def _text(self, label_id: str) -> str | None:
        key = quote(label_id.replace("'", "''"), safe="@")
        language = quote(self._language.replace("'", "''"), safe="")
        url = f"{self._access.environment_url}/metadata/Labels(Id='{key}',Language='{language}')"
        try:
            document = self._access.reader.document(url)
        except NotFoundError:
            return None
        text = document.get("Value")
        # A label without a text is answered with its own id.
        return text if isinstance(text, str) and text.strip() and text != label_id else None

    def _load(self) -> dict[str, _Label]:
        if self._known is None:
            self._known = self._read()
        return self._known

    def _read(self) -> dict[str, _Label]:
        if self._file is None:
            return {}
        try:
            kept = msgspec.json.decode(self._file.read_bytes(), type=_Kept)
            now = self._now()
            fresh = {
                label_id: label
                for label_id, label in kept.labels.items()
                if 0 <= (now - label.fetched_at).total_seconds() < _MAX_AGE_S
            }
        except (OSError, ValueError, TypeError):  # missing, broken, foreign: nothing is known
            return {}
        return fresh if kept.format == _FORMAT else {}

    def _keep(self) -> None:
        if self._file is not None:
            content = msgspec.json.encode(_Kept(_FORMAT, self._load()))
            keep_file(self._file, content)
