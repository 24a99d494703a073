"""Texts → vectors by way of an engine: batches cut, computed and put back in order."""
