"""Back-tests: a declared strategy on forecasts that were out of sample, with costs, beside 1/N and naive.

- `strategy_file`: what is run, as a frozen value; `prices`, `targets`: bars as traded, and shares of equity per close
"""
