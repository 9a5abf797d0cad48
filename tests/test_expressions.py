import pytest

from fercache.errors import UsageError
from fercache.expressions import ALIASES, canonical, first_expressions


def test_every_alias_means_one_expression() -> None:
    aliases = [alias for names in ALIASES.values() for alias in names]
    assert len(aliases) == len(set(aliases))
    assert all(canonical(alias.upper() + " ") == name for name, names in ALIASES.items() for alias in names)


def test_unknown_word_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="happy"):
        canonical("hapy")
    with pytest.raises(UsageError, match="7 or 8"):
        first_expressions(6)
