"""The life of a model after training: engine, endpoint, forecasts, outcomes, selection.

The way of a question lies here: `service`, `app`, `batching`, `predictor`, `rows`, `forecasting`, `drafts`. Beside it:

- `http`, `routes`, `api`: what a request passes through, what can be asked, and in which form
- `access`: who may ask, and how often
- `models`, `runtime`, `deployment`: exported files, the engines that run them, and which of them are in service
- `stored`: forecasts on disk, from the log to the lake
- `receipts`: what each forecast was made from, and making it again
- `feedback`: what came of the forecasts, and what follows
- `monitoring`: what an operator sees
- `testing`: for tests alone
"""
