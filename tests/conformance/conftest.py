"""The same promises on each engine."""

from __future__ import annotations

import pytest

from tests.conftest import URLS


@pytest.fixture(params=list(URLS))
def target_url(request: pytest.FixtureRequest) -> str:
    """The URL of a fresh database, once on each engine; pick one with -k sqlite, -k postgres or -k mariadb."""
    url: str = request.getfixturevalue(URLS[request.param])
    return url
