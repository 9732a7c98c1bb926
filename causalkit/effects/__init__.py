"""Effects of treatments on outcomes: on average, and person by person."""
