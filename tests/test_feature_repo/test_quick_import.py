"""Importing Feast costs every process seconds; what can be left out of it is."""

import pytest
import typeguard

import feature_repo.feast_store as face


class Declared:
    """A class that Feast might decorate, or anybody else."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_no_method_of_feast_is_compiled_again_to_check_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Declared, "__module__", "feast.entity")
    before = Declared.__init__.__code__
    assert face.REPO.is_dir()
    assert typeguard.typechecked(Declared) is Declared
    assert Declared.__init__.__code__ is before


def test_what_others_decorate_is_checked_as_ever() -> None:
    assert face.REPO.is_dir()

    @typeguard.typechecked
    def double(number: int) -> int:
        return 2 * number

    @typeguard.typechecked(collection_check_strategy=typeguard.CollectionCheckStrategy.ALL_ITEMS)
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    with pytest.raises(typeguard.TypeCheckError):
        double("ab")
    with pytest.raises(typeguard.TypeCheckError):
        total([1, 2.5])
