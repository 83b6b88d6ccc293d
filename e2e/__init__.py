"""Tests in a browser, against the whole system."""
