"""Imports a Snowflake query as a versioned data asset of Azure Machine Learning."""

__version__ = "0.1.0"
