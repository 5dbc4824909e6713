"""Reading strategies: how the rows of an entity set are walked, and where a walk resumes."""
