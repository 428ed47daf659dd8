"""Models as other programs write them: architectures of the transformers library, and its port of ALIGN."""
