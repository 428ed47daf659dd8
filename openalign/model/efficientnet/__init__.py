"""EfficientNet (Tan & Le, ICML 2019): ALIGN's image tower."""
