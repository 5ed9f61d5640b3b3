"""A plan walked against stand-ins, to find what would break before money is spent."""
