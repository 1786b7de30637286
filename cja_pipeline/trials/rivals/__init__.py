"""What the pipeline is measured against: the same outputs by other means, from the same landed files."""
