"""In the place of pandas, which a job does not have, and Snowflake's connector imports where it is."""

raise ModuleNotFoundError("a job has no pandas", name="pandas")
