"""Source maps: kept, parsed, asked."""

from infra.source_maps.source_maps import SourceMaps

__all__ = ["SourceMaps"]
