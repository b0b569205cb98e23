"""Every external file: declared, fetched, checked."""
