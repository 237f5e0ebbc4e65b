"""A table of public holidays by country, one row for each day: what `sluice tables holidays` loads."""

from __future__ import annotations

import datetime as dt
import difflib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

from sluice.declare.asof import VALID_FROM, AsOfTable
from sluice.declare.columns import Category, Key
from sluice.errors import UserError

COLUMNS = ("is_holiday", "days_to_next", "days_since_last")
"""What is known of a day: 1 on a holiday, else 0; whole days to the next and since the last one, 0 on a holiday."""

_LIST = "import holidays; print(*holidays.list_supported_countries(include_aliases=False))"


def holiday_rows(table: AsOfTable, countries: Sequence[str], years: Iterable[int]) -> Iterator[dict[str, Any]]:
    """A row for each day and country (ISO 3166 code), valid from midnight UTC, with the columns that a table declares.

    UserError for a table that declares others, or a country that the library `holidays` does not know.
    """
    key = _key(table)
    listed = sorted(years)
    for country in dict.fromkeys(countries):
        days = _holidays(country, listed)
        for day in _days(listed):
            yield {key: country, VALID_FROM: f"{day.isoformat()}T00:00:00Z"} | {
                name: value for name, value in _known(day, days).items() if name in table.values
            }


def source(countries: Sequence[str], years: Sequence[int]) -> str:
    """Where such rows are from, with the version of the library."""
    return f"holidays {version('holidays')}: {', '.join(countries)}, {min(years)} to {max(years)}"


def _key(table: AsOfTable) -> str:
    other = [name for name in table.values if name not in COLUMNS]
    if other:
        raise UserError.unknown("column", other[0], COLUMNS, where=f"table {table.name!r}, made of holidays")
    keys = [name for name, column in table.keys.items() if _is_text(column)]
    if len(keys) != 1 or len(table.keys) != 1:
        raise UserError(
            f"the key is {', '.join(table.keys) or 'nothing'}",
            where=f"table {table.name!r}, made of holidays",
            allowed="one category or text key, which holds the country",
        )
    return keys[0]


def _is_text(column: object) -> bool:
    return isinstance(column, Category) or (isinstance(column, Key) and column.type == "text")


def _holidays(country: str, years: Sequence[int]) -> list[dt.date]:
    """The public holidays of a country in these years and those beside them, ascending."""
    import holidays

    if country not in holidays.list_supported_countries():
        raise UserError(
            f"unknown country {country!r}",
            where="holidays",
            allowed=f"ISO 3166 codes; the nearest are {', '.join(_nearest(country))}",
            next_step=f'list them all: python -c "{_LIST}"',
        )
    around = sorted({year + off for year in years for off in (-1, 0, 1)})
    return sorted(holidays.country_holidays(country, years=around))


def _nearest(country: str) -> list[str]:
    """The codes of countries with such a name, or else those that look like it."""
    from holidays.registry import COUNTRIES

    codes = {name: codes[0] for name, (_, *codes) in COUNTRIES.items()}
    named = difflib.get_close_matches(country.lower(), codes, n=3)
    return [codes[name] for name in named] or difflib.get_close_matches(country, codes.values(), n=5, cutoff=0)


def _days(years: Sequence[int]) -> Iterator[dt.date]:
    for year in years:
        first = dt.date(year, 1, 1)
        yield from (first + dt.timedelta(days=day) for day in range((dt.date(year + 1, 1, 1) - first).days))


def _known(day: dt.date, holidays: Sequence[dt.date]) -> dict[str, int | None]:
    after, before = bisect_left(holidays, day), bisect_right(holidays, day) - 1
    return {
        "is_holiday": int(after <= before),
        "days_to_next": (holidays[after] - day).days if after < len(holidays) else None,
        "days_since_last": (day - holidays[before]).days if before >= 0 else None,
    }
