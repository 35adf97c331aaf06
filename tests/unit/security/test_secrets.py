"""How tokens look, what names may hold, and which credential a request presents."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import InvalidError
from app.core.security.credentials import present
from app.core.security.errors import UnauthorizedError
from app.core.security.names import LONGEST_NAME, checked_name, clean_name
from app.core.security.secrets import csrf_of, digest, new_session_secret, new_token, prefix_of


class TestTokens:
    """API tokens."""

    def test_look_as_documented_and_are_never_the_same(self) -> None:
        """``tds_<8>_<43>``; the prefix names them; what is stored is a SHA-256."""
        made = [new_token() for _ in range(200)]
        assert all(re.fullmatch(r"tds_[A-Za-z0-9]{8}_[A-Za-z0-9]{43}", one.text) for one in made)
        assert len({one.text for one in made}) == len({one.prefix for one in made}) == 200
        assert all(prefix_of(one.text) == one.prefix for one in made)
        assert all(one.digest == digest(one.text) and len(one.digest) == 32 for one in made)

    def test_do_not_show_themselves(self) -> None:
        """A token in a log line or a trace is a token lost."""
        made = new_token()
        assert made.text not in repr(made)
        assert made.prefix in repr(made)

    @pytest.mark.parametrize(
        "text", ["", "tds_", "tds_ab12cd34", "tds_ab12cd34_" + "x" * 42, "x" * 56, "tds_ab-2cd34_" + "x" * 43]
    )
    def test_nothing_else_is_one(self, text: str) -> None:
        """It is not looked up."""
        assert prefix_of(text) is None
        assert prefix_of(new_token().text + "\n") is None

    def test_a_sessions_csrf_token_is_its_own(self) -> None:
        """And does not tell the secret."""
        one, other = new_session_secret(), new_session_secret()
        assert csrf_of(one) == csrf_of(one) != csrf_of(other)
        assert one not in csrf_of(one)


class TestNames:
    """Names."""

    @given(st.text(max_size=400))
    def test_what_is_cleaned_is_one_short_printable_line(self, text: str) -> None:
        """Whatever was given; and cleaning it again changes nothing."""
        cleaned = clean_name(text)
        assert cleaned.isprintable()
        assert len(cleaned) <= LONGEST_NAME
        assert cleaned == cleaned.strip() == clean_name(cleaned)

    @pytest.mark.parametrize("name", ["Sara", "سارة علي", "tds (phone)", "O'Brien", "x" * 100])
    def test_a_good_one_is_kept(self, name: str) -> None:
        """In any script."""
        assert checked_name(name) == clean_name(name) == name

    @pytest.mark.parametrize(
        "name", ["", " ", "a\nb", "a\rb", "\x1b[31m", "a\u202eb", "a\u2028b", "a\x00", "x" * 101, "\ud800"]
    )
    def test_a_bad_one_is_refused_where_its_giver_can_mend_it(self, name: str) -> None:
        """With what is allowed."""
        with pytest.raises(InvalidError, match="1 to 100"):
            checked_name(name)


class TestCredentials:
    """What a request presents."""

    @given(
        st.lists(st.tuples(st.sampled_from([b"authorization", b"cookie", b"x"]), st.binary(max_size=60)), max_size=4)
    )
    def test_is_never_ambiguous_and_never_a_crash(self, headers: list[tuple[bytes, bytes]]) -> None:
        """One credential, or 401."""
        try:
            found = present(headers, secure=False)
        except UnauthorizedError:
            return
        names = [name for name, _ in headers]
        assert names.count(b"authorization") + names.count(b"cookie") >= 1
        assert found.text
        assert found.raw in [value for name, value in headers if name in {b"authorization", b"cookie"}]

    def test_a_bearer_token_goes_before_a_cookie(self) -> None:
        """Who sends one by hand means it."""
        headers = [(b"cookie", b"tds_session=a"), (b"authorization", b"Bearer b")]
        assert present(headers, secure=False).text == "b"

    def test_the_cookie_of_the_other_kind_is_none(self) -> None:
        """By https only the one that is for https."""
        for secure, name in ((True, b"tds_session"), (False, b"__Host-tds_session")):
            with pytest.raises(UnauthorizedError):
                present([(b"cookie", name + b"=a")], secure=secure)
