from __future__ import annotations

from pathlib import Path

import pytest

from workzone.core.errors import MissingExtraError
from workzone.core.lazy import check_installed, require, resolve


def test_what_is_there_is_imported() -> None:
    assert require("json.decoder", "data").JSONDecodeError.__name__ == "JSONDecodeError"


@pytest.mark.parametrize("module", ["not_installed_anywhere", "not_installed_anywhere.deeper"])
def test_a_missing_package_names_the_extra(module: str) -> None:
    with pytest.raises(MissingExtraError, match=r"'not_installed_anywhere'.*workzone\[train\]") as caught:
        require(module, "train")
    assert caught.value.extra == "train"


def test_a_package_that_lacks_its_own_dependency_says_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half_installed.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "broken_inside.py").write_text("raise ImportError('no such symbol')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        require("half_installed", "train")
    with pytest.raises(ImportError, match="no such symbol"):
        require("broken_inside", "train")


def test_a_dotted_name_is_resolved() -> None:
    assert resolve("pathlib:Path") is Path
    with pytest.raises(AttributeError):
        resolve("pathlib:Paht")


def test_what_is_not_installed_is_said_without_importing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "costly_to_import.py").write_text("raise AssertionError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    check_installed("costly_to_import", "train")
    with pytest.raises(MissingExtraError, match=r"workzone\[report\]"):
        check_installed("not_installed_anywhere", "report")
