"""Turns what the catalog holds into what a page shows. No reads and no writes here: values in, values out."""
