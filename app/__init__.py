"""The page: layout and wiring. It draws what the decoding core records and holds no decoding logic."""
