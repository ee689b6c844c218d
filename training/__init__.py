"""From a frame to fitted, judged models.

- `stages`: the stages of a training as plain functions, for an asset, a command or a notebook cell
- `experiments/`: what a training run does, as values
- `models/`: the forecasters, each with its card
- `data/`: windows, splits and scaling
- `fit/`: fit, keep and search
- `judge/`: metrics, walk-forward evaluation and plots
- `tracking/`: what was tried, kept in MLflow
"""
