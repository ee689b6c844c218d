"""Explanations of stored forecasts by the engines that made them.

- `result`: contributions of features to p10, p50, p90 and the width of one forecast
- `explainer`: answers questions about a stored forecast, each once
- `models`, `remaking`: its models by digest, and the forecast made again from its window or a changed one
- `players`, `shapley`, `backgrounds`, `attribution`: Shapley values from typical windows of the training
- `sampled`: Shapley values of many windows by one engine
- `surrogate`: a straight line around the forecast (LIME), with its fidelity
- `attention`, `attention_answer`: where networks with attention looked
- `assembly`: from the parts of the models to the explanation of the blend
- `stability`: whether contributions keep their order within the error of the values
- `what_if`: changed inputs, sweeps, and the smallest change that turns a forecast
- `scenario`: another last bar, with all features computed again
- `similar`: past windows of the symbol that are nearest to a forecast's, and what followed them
- `answers`, `wording`: what the endpoint answers, and its sentences
- `narrative`: a forecast in words, each sentence checked against facts
- `gradients`: integrated gradients of the networks of a forecast (needs torch)
- `worker`: the process that computes explanations beside the service
"""

from serving.explain.answers import counterfactual_answer, explanation_answer, short_explanation
from serving.explain.attention import ForecastAttention
from serving.explain.attention_answer import attention_answer
from serving.explain.attribution import explain_forecast
from serving.explain.explainer import Explainer, ExplanationKey
from serving.explain.result import QUANTITIES, BackgroundUse, Contribution, Explanation, MemberExplanation
from serving.explain.sampled import sampled_contributions
from serving.explain.what_if import WhatIf
from serving.explain.wording import NAMES, percent

__all__ = [
    "NAMES",
    "QUANTITIES",
    "BackgroundUse",
    "Contribution",
    "Explainer",
    "Explanation",
    "ExplanationKey",
    "ForecastAttention",
    "MemberExplanation",
    "WhatIf",
    "attention_answer",
    "counterfactual_answer",
    "explain_forecast",
    "explanation_answer",
    "gradients",
    "narrative",
    "percent",
    "sampled_contributions",
    "short_explanation",
    "worker",
]
