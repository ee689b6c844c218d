"""A process that ends in the middle of what it does, for a function put in the place of one that writes."""


class KilledError(Exception):
    """The process ended here."""


def killed(*_: object, **__: object) -> None:
    raise KilledError
