"""What stands between a text and its activation: policy, approval, drafts, drift."""
