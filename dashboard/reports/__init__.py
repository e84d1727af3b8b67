"""Reports as documents and files of data."""
