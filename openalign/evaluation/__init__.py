"""How good a model is: one file a protocol, all with the same shape."""
