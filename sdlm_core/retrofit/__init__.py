"""Retrofit: turning an autoregressive model into one that guesses a sequence per pass."""
