"""From pictures to answers: backends, scoring, the predictor, directories. Never imports torch."""
