"""What operators hold: the command line, the embedded stack, the policy, the runbook."""
