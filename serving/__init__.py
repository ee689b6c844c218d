"""Serving of trained models: engines, endpoint, forecasts, outcomes, strategy selection.

At the top lie the doors: `service` and `client`, `stages` of the daily run, `audit` and `backups`. The folders, leaves
first; each imports those above it in this list, by what their ``__init__`` names:

- `api`, `processes`: types of requests, answers and problems; processes of one endpoint
- `monitoring`, `forecasts`, `evidence`: metrics, logs and spans; the values of a forecast; statistical evidence
- `access`, `engines`, `strategies`: who may ask; exported models and what computes them; the pool
- `deployment`: which models answer
- `receipts`, `row_log`, `recommendation_log`, `forecast_log`, `explanation_log`: what a forecast was made from; every
  answer on disk, and its way to the lake
- `predict`: from a question to a forecast
- `backfill`, `outcomes`: forecasts of past sessions; what came of the forecasts
- `calibration`, `drift`, `replay`: corrections learned; inputs against training; forecasts made again
- `advice`: from a forecast and a book to an action, a size and a stop
- `web`, `supervision`: the HTTP and WebSocket endpoint; the processes that run it
"""
