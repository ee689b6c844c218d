"""What came of the forecasts, and what follows: outcomes, drift, calibration, the selection of strategies."""
