"""Django's backend for Postgres, but for how often a connection is asked whether it still lives."""
