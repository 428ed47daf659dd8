"""The two towers, their loss, and the Hugging Face folder they live in (paper section 4)."""
