"""Importing Feast costs every process seconds; what can be left out of it is."""

import typeguard

import feature_repo.feast_store as face


def test_no_method_of_feast_is_compiled_again_to_check_its_arguments() -> None:
    class Declared:
        def __init__(self, name: str) -> None:
            self.name = name

    before = Declared.__init__.__code__
    assert face.REPO.is_dir()
    assert typeguard.typechecked(Declared) is Declared
    assert Declared.__init__.__code__ is before
