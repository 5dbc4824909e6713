"""Singer target for Tableau: Hyper extracts, published data sources, verified jobs."""
