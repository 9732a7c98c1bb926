"""Tables in: the one dataframe contract, mergeable moments, and files or engines as sources."""
