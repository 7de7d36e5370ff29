"""Other people's models behind narrow contracts, one file per backend."""
