"""What is asked of an index: its language, its vector and its conditions."""
