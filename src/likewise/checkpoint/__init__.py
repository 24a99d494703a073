"""Find, read and write models: names → folders → settings and named arrays, and back."""
