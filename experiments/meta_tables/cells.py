"""What the tables of `meta_tables` share."""

from attnjax.reproduction import Record


def over_seeds(record: Record) -> str:
    """What the brackets mean."""
    return f"Mean [95 % bootstrap interval] over {record.config['seeds']} seeds, too narrow where they are few."
