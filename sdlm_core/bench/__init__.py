"""What a pass, an answer and many visitors cost, beside transformers on the same weights. It knows no quality."""
