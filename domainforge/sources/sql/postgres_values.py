"""PostgreSQL's values that Python has no equal for come as their text, not as an error."""

from typing import Any

_TYPES = ("date", "timestamp", "timestamptz", "time", "timetz", "interval", "json", "jsonb")


def keep_odd_values(connection: Any) -> None:
    """Have a psycopg connection give `infinity`, the year 20000 and endlessly nested JSON as text.

    One such value would otherwise end the whole query.
    """
    for name in _TYPES:
        usual = connection.adapters.get_loader(connection.adapters.types[name].oid, 0)
        connection.adapters.register_loader(name, _forgiving(usual))


def _forgiving(usual: Any) -> Any:
    from psycopg import DataError
    from psycopg.adapt import Loader

    class TextWhereNeeded(Loader):
        """Loads as usual, and gives the text of what can't be loaded."""

        def __init__(self, oid: int, context: Any = None) -> None:
            super().__init__(oid, context)
            self._usual = usual(oid, context)

        def load(self, data: Any) -> Any:
            try:
                return self._usual.load(data)
            except (DataError, ValueError, OverflowError, RecursionError):
                return bytes(data).decode(errors="replace")

    return TextWhereNeeded
