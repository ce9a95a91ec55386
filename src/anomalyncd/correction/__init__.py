"""What a person says about some regions, and what follows from it for the others."""
