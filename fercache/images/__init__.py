"""Image files -> RGB pixels, and what is done to pixels: augmented views, corruptions."""
