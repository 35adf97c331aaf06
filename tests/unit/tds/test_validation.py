"""What is kept of a body that nobody understood."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tds.core.validation import _readable, _word  # pyright: ignore[reportPrivateUsage] - hostile input meets them


def storable(text: str) -> bool:
    """Whether ``jsonb`` takes it: an object, without NUL and without half a surrogate pair."""
    value = json.loads(text)
    plain = json.dumps(value, ensure_ascii=False)
    plain.encode()
    return isinstance(value, dict) and "\\u0000" not in plain.replace("\\\\", "") and len(text) > 1


class TestReadable:
    """Any bytes become JSON that a database can hold, or nothing."""

    @given(st.binary(max_size=300))
    def test_takes_any_bytes(self, body: bytes) -> None:
        """What came over the wire may be anything."""
        text = _readable(body)
        assert text is not None
        assert storable(text)

    @given(
        st.recursive(
            st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
        )
    )
    def test_takes_any_json(self, value: object) -> None:
        """NULs, lone surrogates and huge numbers included."""
        text = _readable(json.dumps(value).encode())
        assert text is not None
        assert storable(text)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"a": "\\u0000"}',
            b'{"\\u0000": 1}',
            b'{"a": "\\ud800"}',
            b'{"a": "\x00"}',
            b"\xff\xfe",
            b"",
            b"[" * 5_000 + b"]" * 5_000,
            b'{"a":' * 500 + b"1" + b"}" * 500,
            b"1" * 400,
            b"1e999",
            b"NaN",
            b"JSONString=%7B%7D",
        ],
    )
    def test_takes_hostile_bodies(self, body: bytes) -> None:
        """Those that break parsers, encoders and databases."""
        text = _readable(body)
        assert text is not None
        assert storable(text)

    def test_keeps_an_object_as_it_is(self) -> None:
        """It is what a person will work on."""
        assert json.loads(_readable(b'{"a": [1, "\xc3\xa9"]}') or "") == {"a": [1, "é"]}

    def test_wraps_what_is_no_object(self) -> None:
        """A payload is an object."""
        assert json.loads(_readable(b"[1]") or "") == {"body": [1]}

    def test_keeps_nothing_of_a_huge_body(self) -> None:
        """The inbox has the bytes."""
        assert _readable(b"x" * 1_000_001) is None


class TestWord:
    """Words of a delivery, as a column holds them."""

    @pytest.mark.parametrize(
        ("given_word", "kept"), [(None, None), ("", None), ("a\x00b", "a\ufffdb"), ("x" * 300, "x" * 200)]
    )
    def test_is_short_and_storable(self, given_word: str | None, kept: str | None) -> None:
        """No NUL, and no more than 200 characters."""
        assert _word(given_word) == kept
