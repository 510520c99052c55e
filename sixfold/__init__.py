"""Sixfold makes small open models reason like large ones, and shows what every part of that costs and gains."""

__version__ = "0.1.0"
