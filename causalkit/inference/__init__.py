"""From scores, draws and assignments to standard errors, p-values, bands and sets; knows arrays only."""
