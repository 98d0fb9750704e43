"""The read model of errors: one of them, lists of them, search.

- `layout`: which Redis keys there are, and how values become scores
- `document`: the JSON of one error
- `fold`: events in, Redis commands out
- `index`: the sorted sets of one filter, read as if they were one
- `words`: groups by the words they hold
- `queries`: what the API asks
"""

from projections.error_groups.document import document_of, left_by
from projections.error_groups.fold import ErrorGroups
from projections.error_groups.layout import ErrorFilter, Sort
from projections.error_groups.queries import ErrorPage, ErrorQueries

__all__ = [
    "ErrorFilter",
    "ErrorGroups",
    "ErrorPage",
    "ErrorQueries",
    "Sort",
    "document_of",
    "left_by",
]
