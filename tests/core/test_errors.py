from __future__ import annotations

import pytest

from workzone.core import errors
from workzone.core.errors import MissingExtraError, WorkzoneError, nearest


def test_the_nearest_word_or_all_of_them() -> None:
    assert nearest("wether", ["weather", "daytime"]) == " Did you mean 'weather'?"
    assert nearest("xyz", ["weather", "daytime"]) == " Known: daytime, weather."
    assert nearest("xyz", []) == ""
    assert nearest("weather", iter(["weather"])) == " Did you mean 'weather'?"


def test_every_error_is_in_the_one_tree_and_drawn_in_it() -> None:
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, WorkzoneError)
            assert name in (errors.__doc__ or "")


def test_a_missing_extra_names_the_command() -> None:
    error = MissingExtraError("pyarrow", "data")
    assert error.extra == "data"
    assert "pip install 'workzone[data]'" in str(error)
    with pytest.raises(WorkzoneError, match="'pyarrow'"):
        raise error
