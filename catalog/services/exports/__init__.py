"""Whole lists of entities as files, written while they are read."""

from catalog.services.exports.export import FORMATS, Format, export_entities

__all__ = ["FORMATS", "Format", "export_entities"]
