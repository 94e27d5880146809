"""The peers; each is imported in the process of its own alone, by its own interpreter."""
