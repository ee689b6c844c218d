"""The values a forecast is made of, and their arithmetic."""
