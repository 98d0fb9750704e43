"""All read models, in explicit lists: what is not here does not run."""

from __future__ import annotations

from projections.codes import Codes
from projections.dashboard_trends import DashboardTrends
from projections.directory.alert_history import AlertHistory
from projections.directory.api_keys import ApiKeys
from projections.directory.apps import Apps
from projections.directory.checks import Checks
from projections.directory.incidents import Incidents
from projections.directory.integrations import Integrations
from projections.directory.members import Members
from projections.directory.rules import AlertRules
from projections.directory.source_maps import SourceMaps
from projections.error_groups import ErrorGroups
from projections.occurrence_index import OccurrenceIndex
from projections.projection import PostgresReadModel, ReadModel, RedisReadModel
from projections.stats import Stats
from projections.uptime import ServiceUptime

READ_MODELS: tuple[RedisReadModel, ...] = (
    ErrorGroups(),
    Stats(),
    Apps(),
    ApiKeys(),
    Members(),
    Integrations(),
    AlertRules(),
    Incidents(),
    Checks(),
    ServiceUptime(),
    Codes(),
    DashboardTrends(),
    SourceMaps(),
    AlertHistory(),
)
"""Those that live in Redis."""

POSTGRES_READ_MODELS: tuple[PostgresReadModel, ...] = (OccurrenceIndex(),)

ALL_READ_MODELS: tuple[ReadModel, ...] = (*READ_MODELS, *POSTGRES_READ_MODELS)


def by_name(name: str) -> RedisReadModel:
    """The read model of this name. Raises KeyError for a name that none bears."""
    for read_model in READ_MODELS:
        if read_model.name == name:
            return read_model
    known = ", ".join(read_model.name for read_model in READ_MODELS)
    raise KeyError(f"no read model {name!r}; there are {known}")
