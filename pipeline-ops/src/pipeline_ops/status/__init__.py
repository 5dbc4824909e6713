"""``d365fo-tableau status``: what is current as of when, and what needs somebody."""
