"""Which models answer, which are on trial, and how that is changed: one small file that every process reads."""
