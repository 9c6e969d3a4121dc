"""One HTTP request."""

from __future__ import annotations

import http.client
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tagback.errors import TagbackError
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
            return json.loads(self.text, parse_constant=_no_json)
        except (ValueError, RecursionError):
            return None


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def ask(method: str, url: str, headers: Mapping[str, str], body: str | None, within: float) -> Response:
    """Sends one request; any status is an answer. HttpError if there is none, TimeLimitError if not within so many seconds.

    Redirects are answers too: a page for logging in must not stand for health, and no other host gets the headers.
    """
    if not url.startswith(("http://", "https://")):
        raise HttpError(f"{url} is no http:// or https:// address")
    found: list[Response | TagbackError] = []
    asking = threading.Thread(target=lambda: found.append(_asked(method, url, headers, body, within)), daemon=True)
    asking.start()
    asking.join(max(0.01, within))  # a server that sends a byte now and then keeps every socket's timeout
    if not found or (isinstance(found[0], Response) and found[0].seconds > within):
        raise TimeLimitError(f"{url} did not answer within {within:g} s")
    if isinstance(found[0], TagbackError):
        raise found[0]
    return found[0]


def _asked(
    method: str, url: str, headers: Mapping[str, str], body: str | None, within: float
) -> Response | TagbackError:
    started = time.monotonic()
    try:
        request = urllib.request.Request(url, body.encode() if body is not None else None, dict(headers), method=method)
        with _OPENER.open(request, timeout=max(0.01, within)) as answer:
            content, status = answer.read(_MOST), answer.status
    except urllib.error.HTTPError as e:
        with e:
            content, status = _rest_of(e), e.code
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as e:
        reason = getattr(e, "reason", e)
        if isinstance(reason, TimeoutError):
            return TimeLimitError(f"{url} did not answer within {within:g} s")
        return HttpError(f"{url} did not answer: {reason}")
    return Response(status, content.decode(errors="replace"), time.monotonic() - started)


def _rest_of(e: urllib.error.HTTPError) -> bytes:
    try:
        found: bytes = e.read(_MOST)
    except (http.client.HTTPException, OSError):
        return b""  # its status is the answer
    return found


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows none."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Redirects)
