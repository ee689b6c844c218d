"""Kernels of Alpha158, Qlib's published set of features, with the semantics of Qlib's operators.

Where Qlib differs from the rest of the catalog, its rule holds here:

- a window is the last n bars, or as many as there are: values begin before the window is full;
- a missing value inside a window is left out, and the statistic is that of the others. Three operators differ:
  comparisons count a missing neighbour as "did not move", the position of an extreme is that of the first missing
  value in the window, and a rank, a residual and everything divided by the bar's own price need the bar itself;
- a deviation needs two values; a correlation or an R-squared of something whose deviation is below 2e-5 is not known;
- ``1e-12`` keeps a denominator from zero where Qlib says so, and only there.

Every value depends on the bars of its own window alone, to the last bit, wherever the history begins.
"""
