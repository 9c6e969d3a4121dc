"""One HTTP request."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tagback.pipeline.failures import HttpError, TimeLimitError

_MOST = 1_000_000  # bytes of an answer that are read


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. `json` is None where the body isn't JSON."""

    status: int
    text: str
    seconds: float

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return None


def ask(method: str, url: str, headers: Mapping[str, str], body: str | None, within: float) -> Response:
    """Sends one request; any status is an answer. HttpError if there is none, TimeLimitError if not within so many seconds."""
    if not url.startswith(("http://", "https://")):
        raise HttpError(f"{url} is no http:// or https:// address")
    request = urllib.request.Request(url, body.encode() if body is not None else None, dict(headers), method=method)
    started = time.monotonic()
    try:
        with urllib.request.urlopen(request, timeout=max(0.01, within)) as answer:
            content, status = answer.read(_MOST), answer.status
    except urllib.error.HTTPError as e:
        content, status = e.read(_MOST), e.code
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as e:
        reason = getattr(e, "reason", e)
        if isinstance(reason, TimeoutError):
            raise TimeLimitError(f"{url} did not answer within {within:g} s") from None
        raise HttpError(f"{url} did not answer: {reason}") from None
    took = time.monotonic() - started
    if took > within:
        raise TimeLimitError(f"{url} took {took:.1f} s, more than {within:g} s")
    return Response(status, content.decode(errors="replace"), took)
