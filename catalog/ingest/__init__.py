"""From the bytes of a descriptor file to entities and relations, exactly as stock Backstage does it; no database."""
