"""The verbs of an import, one Prefect task a file: decoration and retry policy."""
