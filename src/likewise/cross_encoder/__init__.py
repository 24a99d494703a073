"""The cross-encoder: both sentences at once."""
