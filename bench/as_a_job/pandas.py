"""Replaces pandas, which Snowflake's connector would import here, but which a job does not have."""

raise ModuleNotFoundError("a job has no pandas", name="pandas")
