"""What every paper's runs share: configurations, records, processes, and the base class of a paper."""
