"""The demonstration: Contoso's ledger from D365 into Tableau, twice, compared to the cent."""
