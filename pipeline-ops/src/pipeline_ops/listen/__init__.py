"""The service that Tableau and D365 F&O call: what they tell is kept, checked and acted on."""
