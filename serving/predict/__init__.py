"""From a question to a forecast: the one place a forecast row is made."""
