"""The same net in torch, beside which a spec is timed."""
