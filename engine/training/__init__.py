"""Recipe to checkpoint: sampling, the methods head and full, merging, and the model card."""
