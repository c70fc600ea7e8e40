"""What a model really computes: products of matrices, counted as they are asked for."""
