"""From a logit to a probability and a verdict: small frozen records that numpy applies. Fits nothing."""
