"""``d365fo-tableau check``: ask both systems whether a run would work, and change nothing."""
