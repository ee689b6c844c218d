"""The pool of strategies and how they are selected."""
