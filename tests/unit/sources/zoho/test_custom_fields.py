"""Custom fields in documents, from whatever source."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from app.tds.documents import CustomerDocument, Document, ProductDocument


@pytest.mark.parametrize("document", [ProductDocument, CustomerDocument])
class TestCustomFields:
    """What both documents refuse."""

    @pytest.mark.parametrize("fields", [{"a": "\x00"}, {"\x00": 1}, {"a": ["b", {"c": "\x00"}]}, {"a": {"\x00": 1}}])
    def test_hold_no_nul(self, document: type[Document], fields: dict[str, Any]) -> None:
        """Neither in a text nor in a key, however deep: a database cannot hold it."""
        with pytest.raises(ValidationError, match="NUL"):
            document.model_validate({"custom_fields": fields})

    def test_are_not_bottomless(self, document: type[Document]) -> None:
        """What cannot be written as JSON again is refused when it comes in."""
        fields: dict[str, Any] = {}
        for _ in range(300):
            fields = {"deeper": fields}
        with pytest.raises(ValidationError, match="nested"):
            document.model_validate({"custom_fields": fields})

    def test_hold_all_of_json(self, document: type[Document]) -> None:
        """Anything else is kept as it is."""
        fields = {"a": [1, None, True, {"b": "ماوس"}], "c": ""}
        assert document.model_validate({"custom_fields": fields}).known() == {"custom_fields": fields}
