from __future__ import annotations

from causalkit.data.identity import token_of


class Table:
    pass


def test_same_object_same_token_and_others_differ():
    one, two = Table(), Table()
    assert token_of(one) == token_of(one)
    assert token_of(one) != token_of(two)


def test_an_object_without_weak_references_gets_a_fresh_token():
    plain = {"a": [1]}
    assert token_of(plain) != token_of(plain)


def test_tokens_of_dead_objects_are_forgotten():
    from causalkit.data import identity

    table = Table()
    token_of(table)
    key = id(table)
    assert key in identity._known
    del table
    assert key not in identity._known
