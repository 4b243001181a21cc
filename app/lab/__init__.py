"""The trade-off lab: a live τ on measured curves, sweeps of one's own, and the figures behind them."""
