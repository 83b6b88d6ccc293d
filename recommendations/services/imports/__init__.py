"""Bringing in catalogues and listening: streaming, all or nothing, and safe to run twice."""
