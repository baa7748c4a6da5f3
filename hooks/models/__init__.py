"""A name becomes a `LanguageModel`: loading, backends, precision, fingerprints, embedded models."""
