"""A box for values that no traceback, log or `repr` may show."""


class Hidden:
    """Holds a value. A frame with this among its locals can be shown."""

    __slots__ = ("_value",)

    def __init__(self, value):
        self._value = value

    def expose(self):
        """The value itself. No frame that holds it may raise."""
        return self._value

    def __repr__(self):
        return "<hidden>"

    def __reduce__(self):
        raise TypeError("what is hidden stays in this process")
