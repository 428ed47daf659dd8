"""Models as ONNX graphs: written by `openalign export`, and used where they are faster than torch."""
