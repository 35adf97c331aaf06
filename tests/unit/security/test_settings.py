"""Settings of the identity provider that would let in whom nobody means."""

from __future__ import annotations

import pytest

from app.core.config import Settings
from app.core.errors import ConfigurationError


class TestSettings:
    """``TDS_AUTH_*``."""

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"ISSUER": "https://id.example"}, "TDS_AUTH_AUDIENCE"),
            ({"AUDIENCE": "tds"}, "TDS_AUTH_ISSUER"),
            ({"ISSUER": "http://id.example", "AUDIENCE": "tds"}, "https"),
            ({"ISSUER": "file:///etc", "AUDIENCE": "tds"}, "https"),
            ({"ALGORITHMS": '["HS256"]'}, "TDS_AUTH_ALGORITHMS"),
            ({"ALGORITHMS": '["none"]'}, "TDS_AUTH_ALGORITHMS"),
            ({"ALGORITHMS": "[]"}, "TDS_AUTH_ALGORITHMS"),
            ({"ROLES": '{"x": "god"}'}, "TDS_AUTH_ROLES"),
            ({"LEEWAY_SECONDS": "3600"}, "TDS_AUTH_LEEWAY_SECONDS"),
        ],
        ids=str,
    )
    def test_what_would_open_too_much_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], told: str
    ) -> None:
        """The message names the variable."""
        for name, value in settings.items():
            monkeypatch.setenv(f"TDS_AUTH_{name}", value)
        with pytest.raises(ConfigurationError, match=told):
            Settings.load()
