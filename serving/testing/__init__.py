"""For tests of this room and of those above: real services, real logs, clients that keep asking."""
