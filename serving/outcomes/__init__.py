"""What came of the forecasts: outcomes, performance, reliability."""
