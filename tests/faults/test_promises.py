"""Every promise of docs/reliability.md is held by a test, and says by which."""

from __future__ import annotations

import promises


def test_the_table_of_promises_is_what_the_tests_say():
    """`python tests/support/promises.py` writes it."""
    assert promises.of_page()[1].strip() == promises.table().strip()


def test_a_promise_is_a_sentence_of_a_table():
    found = promises.promises()
    assert len(found) >= 30
    for text in found:
        assert "|" not in text
        assert "\n" not in text
        assert not text.endswith(".")
