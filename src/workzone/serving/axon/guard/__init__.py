"""What is let in: the checks around the SDK's application, and what passes between it and us."""
