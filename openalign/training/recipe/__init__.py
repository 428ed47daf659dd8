"""What a training run is told: a recipe, and what may change when it resumes."""
