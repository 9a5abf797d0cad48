"""Image files -> RGB pixels -> augmented views and corruptions."""
