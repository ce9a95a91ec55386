"""Whether MEBin will make sensible regions of anomaly maps, before a discovery."""
